//! What is done to the frames of one link now, and what it did. Pure but for its lock.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::rewrite::Doors;
use super::{Deed, Side, WireBite, WireFault};

/// The link of all clients to one broker.
#[derive(Debug)]
pub(super) struct Link {
    /// Where brokers are to be said to be; empty where they say it themselves.
    pub(super) doors: Doors,
    state: Mutex<State>,
    /// The number of the fault that is over last: who is held waits for its own.
    over: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts faults, so that a late frame of an old one is not booked for a new one.
    number: u64,
    now: Option<Active>,
}

#[derive(Debug)]
struct Active {
    fault: WireFault,
    /// Frames of its kind so far, struck or not.
    seen: u32,
    bite: WireBite,
}

/// A struck frame's fate, and the fault that decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strike {
    pub(super) deed: Deed,
    pub(super) fault: u64,
}

/// What became of struck frames that waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Arrived,
    /// Their client went while they waited; they go on to the broker all the same.
    AfterClient,
    Lost,
}

impl Link {
    pub(super) fn new(doors: Doors) -> Link {
        Link {
            doors,
            state: Mutex::default(),
            over: watch::channel(0).0,
        }
    }

    /// Begins a fault; an error while another one lasts.
    pub(super) fn hurt(&self, fault: WireFault) -> Result<(), ()> {
        let mut state = self.state();
        if state.now.is_some() {
            return Err(());
        }
        state.number += 1;
        state.now = Some(Active {
            fault,
            seen: 0,
            bite: WireBite::default(),
        });
        Ok(())
    }

    /// Ends it: who is held goes on. What arrives from now on is not in the bite any more, so what is still held counts as
    /// arrived: nothing keeps it.
    pub(super) fn mend(&self) -> Option<WireBite> {
        let mut state = self.state();
        let Active { fault, mut bite, .. } = state.now.take()?;
        if fault.deed == Deed::Hold {
            bite.arrived = bite.frames.saturating_sub(bite.lost);
        }
        // Nobody listening is fine.
        self.over.send_replace(state.number);
        Some(bite)
    }

    pub(super) fn struck(&self) -> u32 {
        self.state().now.as_ref().map_or(0, |now| now.bite.frames)
    }

    /// A frame has come: is it struck?
    pub(super) fn judge(&self, side: Side, api: i16, bytes: usize) -> Option<Strike> {
        let mut state = self.state();
        let number = state.number;
        let now = state.now.as_mut()?;
        let fault = now.fault;
        if fault.side != side || fault.api.is_some_and(|wanted| wanted != api) {
            return None;
        }
        now.seen = now.seen.saturating_add(1);
        let end = fault
            .count
            .map_or(u32::MAX, |count| fault.nth.saturating_add(count));
        if now.seen < fault.nth || now.seen >= end {
            return None;
        }
        now.bite.frames += 1;
        now.bite.bytes += bytes as u64;
        Some(Strike {
            deed: fault.deed,
            fault: number,
        })
    }

    /// Whether answers are to be made for requests of this API: then the request is kept until its answer comes.
    pub(super) fn answers_for(&self, api: i16) -> bool {
        let state = self.state();
        state.now.as_ref().is_some_and(|now| {
            matches!(now.fault.deed, Deed::Answer(_)) && now.fault.api.is_none_or(|wanted| wanted == api)
        })
    }

    /// Books what became of a frame that waited, while its fault lasts.
    pub(super) fn book(&self, fault: u64, fate: Fate, frames: usize) {
        let frames = u32::try_from(frames).unwrap_or(u32::MAX);
        let mut state = self.state();
        if state.number != fault {
            return;
        }
        if let Some(now) = &mut state.now {
            match fate {
                Fate::Arrived => now.bite.arrived += frames,
                Fate::AfterClient => now.bite.after_client += frames,
                Fate::Lost => now.bite.lost += frames,
            }
        }
    }

    /// Waits until this fault is over.
    pub(super) async fn over(&self, fault: u64) {
        let mut over = self.over.subscribe();
        // The sender lives as long as we do.
        let _waited = over.wait_for(|number| *number >= fault).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(nth: u32, count: Option<u32>) -> WireFault {
        WireFault {
            deed: Deed::Hold,
            api: Some(0),
            side: Side::Response,
            nth,
            count,
        }
    }

    #[test]
    fn frames_are_counted_from_the_nth_and_only_those_of_its_kind() {
        let link = Link::new(Doors::new());
        assert_eq!(link.judge(Side::Response, 0, 10), None, "no fault");
        link.hurt(fault(2, Some(2))).expect("free");
        assert!(link.hurt(fault(1, None)).is_err(), "one at a time");
        let struck: Vec<bool> = [
            (Side::Response, 0),
            (Side::Request, 0),
            (Side::Response, 3),
            (Side::Response, 0),
            (Side::Response, 0),
            (Side::Response, 0),
        ]
        .into_iter()
        .map(|(side, api)| link.judge(side, api, 10).is_some())
        .collect();
        assert_eq!(struck, [false, false, false, true, true, false]);
        assert_eq!(link.struck(), 2);
        link.book(1, Fate::Lost, 1);
        let bite = link.mend().expect("there was one");
        assert_eq!((bite.frames, bite.bytes, bite.lost, bite.arrived), (2, 20, 1, 1));
        assert_eq!(link.mend(), None);
    }

    #[test]
    fn what_an_old_fault_held_is_not_booked_for_a_new_one() {
        let link = Link::new(Doors::new());
        link.hurt(fault(1, None)).expect("free");
        let old = link.judge(Side::Response, 0, 1).expect("struck").fault;
        link.mend();
        link.hurt(fault(1, None)).expect("free again");
        link.book(old, Fate::AfterClient, 1);
        assert_eq!(link.mend().map(|bite| bite.after_client), Some(0));
    }
}
