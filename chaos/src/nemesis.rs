//! The one that does the faults of a plan, each on its time, each with evidence that it bit, each healed.
//!
//! ```text
//! one thread per fault, asleep until its time
//!    ─► what does the target mean now? ─► Started ─► strike (guarded) ─► Bit, Bit ─► asleep until its end
//!    ─► mend ─► in every ISR again ─► Healed                 anything that goes wrong: Failed, and the guard mends
//! ```
//! A thread each, so that faults may overlap; they cost nothing while they sleep. All lines of `faults.jsonl` are stamped
//! with CLOCK_MONOTONIC. Dropping the nemesis wakes every sleeper: what is hurt is mended, what has not begun never does.

mod aim; // what a target means now
mod frames; // faults of single requests and answers
mod link; // faults of the network between clients and brokers
mod mend; // the guard: whoever hurts a broker holds one
mod orders; // what Kafka's own administration does
mod quota; // and what it allows a client id
mod strike; // kill, term, pause, restart
mod strike_client; // kill of the client
mod strike_clock; // a broker's wall clock jumps
mod strike_disk; // a broker's disk is full

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use steadfast_verifier::timeline::FaultEvent;

use crate::client::Client;
use crate::clock::{now_ns, sleep};
use crate::cluster::Cluster;
use crate::error::ChaosError;
use crate::fault::{PlannedFault, Target, Trigger};

use self::aim::Aim;

/// How long a target may have no meaning (no leader, during an election) before the fault fails.
const RESOLVE_BOUND: Duration = Duration::from_secs(10);
/// How often a fault that waits for frames looks: they are held for it.
const CLOSE_LOOK: Duration = Duration::from_millis(5);
/// How often a wait looks again. The machine is under load: rarely.
const LOOK: Duration = Duration::from_millis(200);

/// A plan under way. [`Nemesis::join`] waits for its end; dropping ends it at once, healed.
#[derive(Debug)]
pub struct Nemesis {
    stage: Arc<Stage>,
    threads: Vec<JoinHandle<Result<(), ChaosError>>>,
}

/// Starts the plan: `at` of each fault counts from `warmup_end_ns`; `client` where a fault may meet it. `seed` decides what
/// targets leave open. Events are appended to `faults_jsonl`.
pub fn start(
    plan: Vec<PlannedFault>,
    seed: u64,
    (cluster, client): (Arc<Cluster>, Option<Arc<Client>>),
    warmup_end_ns: u64,
    faults_jsonl: &Path,
) -> Result<Nemesis, ChaosError> {
    let log = OpenOptions::new().create(true).append(true).open(faults_jsonl);
    let log = log.map_err(ChaosError::io(format!("write {}", faults_jsonl.display())))?;
    let stage = Stage {
        cluster,
        client,
        seed,
        warmup_end_ns,
        log: Mutex::new(log),
        acknowledged: AtomicU64::new(0),
        load_over: AtomicBool::new(false),
        struck: Mutex::default(),
        cancelled: Mutex::new(false),
        wake: Condvar::new(),
    };
    let mut nemesis = Nemesis {
        stage: Arc::new(stage),
        threads: Vec::new(),
    };
    for fault in plan {
        let stage = Arc::clone(&nemesis.stage);
        let thread = std::thread::Builder::new()
            .name(format!("fault {}", fault.name))
            .spawn(move || stage.play(&fault));
        nemesis
            .threads
            .push(thread.map_err(ChaosError::io("start a thread for a fault"))?);
    }
    Ok(nemesis)
}

impl Nemesis {
    /// Waits until every fault is done and healed; the first failure of any. The load is over: a fault that still waits
    /// for something of it never begins.
    pub fn join(mut self) -> Result<(), ChaosError> {
        self.stage.load_over.store(true, Ordering::Relaxed);
        self.join_all()
    }

    /// How many records are acknowledged so far: faults may wait for that.
    pub fn acknowledged(&self, records: u64) {
        self.stage.acknowledged.store(records, Ordering::Relaxed);
    }

    fn join_all(&mut self) -> Result<(), ChaosError> {
        let mut result = Ok(());
        for thread in self.threads.drain(..) {
            let ended = thread
                .join()
                .unwrap_or_else(|_| Err(ChaosError::admin("a fault", "its thread panicked")));
            result = result.and(ended);
        }
        result
    }
}

impl Drop for Nemesis {
    fn drop(&mut self) {
        *locked(&self.stage.cancelled) = true;
        self.stage.wake.notify_all();
        // Failures stand in the log.
        let _written = self.join_all();
    }
}

/// What all faults of a plan share.
#[derive(Debug)]
struct Stage {
    cluster: Arc<Cluster>,
    /// None: it cannot be started again, and no fault is about it.
    client: Option<Arc<Client>>,
    seed: u64,
    warmup_end_ns: u64,
    log: Mutex<File>,
    /// As the client said last.
    acknowledged: AtomicU64,
    load_over: AtomicBool,
    /// Faults of frames that have begun, and on whose links.
    struck: Mutex<BTreeMap<String, Vec<u32>>>,
    cancelled: Mutex<bool>,
    wake: Condvar,
}

impl Stage {
    /// One fault from its sleep to its healing.
    fn play(&self, fault: &PlannedFault) -> Result<(), ChaosError> {
        let begin_ns = self.warmup_end_ns.saturating_add(nanos(fault.at));
        if !self.sleep_until(begin_ns) {
            return Ok(());
        }
        let begin_ns = match &fault.when {
            None => begin_ns,
            Some(trigger) if self.come(trigger) => now_ns(),
            // The judge misses a fault of the plan that never began: no pass without it.
            Some(_) => return Ok(()),
        };
        let result = if fault.target == Target::Client {
            strike_client::strike(self, fault, begin_ns)
        } else {
            strike::strike(self, fault, begin_ns)
        };
        if let Err(error) = &result {
            let (name, reason) = (fault.name.clone(), error.to_string());
            self.write(&FaultEvent::Failed {
                name,
                reason,
                at_ns: now_ns(),
            })?;
        }
        result
    }

    /// Waits for what a fault waits for; false when the plan ended before it came.
    fn come(&self, trigger: &Trigger) -> bool {
        loop {
            let (come, look) = match trigger {
                Trigger::Frames { fault, frames } => {
                    let brokers = locked(&self.struck).get(fault).cloned().unwrap_or_default();
                    let struck = brokers.iter().map(|broker| self.cluster.frames_struck(*broker));
                    (struck.sum::<u32>() >= *frames, CLOSE_LOOK)
                }
                Trigger::Acknowledged(records) => {
                    (self.acknowledged.load(Ordering::Relaxed) >= *records, LOOK)
                }
            };
            if come {
                return true;
            }
            if self.load_over.load(Ordering::Relaxed) || !self.sleep_until(now_ns() + nanos(look)) {
                return false;
            }
        }
    }

    /// Watches until the leaders that were hit lead no more, up to `until_ns`, and writes what it saw.
    fn watch_leaders(&self, fault: &PlannedFault, aims: &[Aim], until_ns: u64) -> Result<(), ChaosError> {
        let begun_ns = now_ns();
        let mut waiting: Vec<&Aim> = aims.iter().filter(|aim| aim.watched.is_some()).collect();
        while !waiting.is_empty()
            && now_ns() < until_ns
            && self.sleep_until(until_ns.min(now_ns() + nanos(LOOK)))
        {
            let mut still = Vec::new();
            for aim in waiting {
                match self.moved(aim, begun_ns) {
                    Some(value) => self.bit(fault, aim, "leader_epoch", value)?,
                    None => still.push(aim),
                }
            }
            waiting = still;
        }
        Ok(())
    }

    /// How the leadership of an aim has moved on; none while it has not.
    fn moved(&self, aim: &Aim, begun_ns: u64) -> Option<String> {
        let (topic, partition, before) = aim.watched.as_ref()?;
        // No answer and no leader are what one expects just now.
        let after = self.cluster.leader(topic, *partition).ok()?;
        (after.broker != before.broker && after.epoch > before.epoch).then(|| {
            let seconds = (now_ns() - begun_ns) as f64 / 1e9;
            let (from, to) = (before.broker, after.broker);
            format!(
                "{topic}-{partition}: epoch {} -> {}, broker-{from} -> broker-{to} within {seconds:.1} s",
                before.epoch, after.epoch
            )
        })
    }

    fn started(&self, fault: &PlannedFault, resolved: String) -> Result<(), ChaosError> {
        let (name, action) = (fault.name.clone(), fault.action.word().to_owned());
        let target = fault.target.to_string();
        self.write(&FaultEvent::Started {
            name,
            action,
            target,
            resolved,
            at_ns: now_ns(),
        })
    }

    fn bit(&self, fault: &PlannedFault, aim: &Aim, what: &str, value: String) -> Result<(), ChaosError> {
        self.seen(fault, format!("{what}{}", aim.suffix), value)
    }

    fn seen(&self, fault: &PlannedFault, what: String, value: String) -> Result<(), ChaosError> {
        self.write(&FaultEvent::Bit {
            name: fault.name.clone(),
            what,
            value,
            at_ns: now_ns(),
        })
    }

    fn healed(&self, fault: &PlannedFault) -> Result<(), ChaosError> {
        self.write(&FaultEvent::Healed {
            name: fault.name.clone(),
            at_ns: now_ns(),
        })
    }

    fn write(&self, event: &FaultEvent) -> Result<(), ChaosError> {
        let line = serde_json::to_string(event).map_err(io::Error::from);
        let written = line.and_then(|line| writeln!(locked(&self.log), "{line}"));
        written.map_err(ChaosError::io("write the fault log"))
    }

    /// Sleeps; false when the plan was cancelled meanwhile.
    fn sleep_until(&self, at_ns: u64) -> bool {
        let mut cancelled = locked(&self.cancelled);
        loop {
            let left = at_ns.saturating_sub(now_ns());
            if *cancelled || left == 0 {
                return !*cancelled;
            }
            let woken = self.wake.wait_timeout(cancelled, Duration::from_nanos(left));
            cancelled = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Looks every few milliseconds until `seen`, up to `bound`.
    fn soon(bound: Duration, mut seen: impl FnMut() -> bool) -> bool {
        const STEP: Duration = Duration::from_millis(10);
        let give_up_ns = now_ns() + nanos(bound);
        loop {
            if seen() {
                return true;
            }
            if now_ns() >= give_up_ns {
                return false;
            }
            sleep(STEP);
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// A poisoned lock means that another fault's thread panicked; mending goes on.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
