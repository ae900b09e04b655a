//! The one that does the faults of a plan, each on its time, each with evidence that it bit, each healed.
//!
//! ```text
//! one thread per fault, asleep until its time
//!    ─► what does the target mean now? ─► Started ─► strike (guarded) ─► Bit, Bit ─► asleep until its end
//!    ─► mend ─► in every ISR again ─► Healed                 anything that goes wrong: Failed, and the guard mends
//! ```
//! A thread each, so that faults may overlap; they cost nothing while they sleep. All lines of `faults.jsonl` are stamped
//! with CLOCK_MONOTONIC. Dropping the nemesis wakes every sleeper: what is hurt is mended, what has not begun never does.

mod mend; // the guard: whoever hurts a broker holds one
mod partition; // silence between clients and a broker
mod strike; // kill, pause, restart
mod strike_client; // kill of the client

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use steadfast_verifier::timeline::FaultEvent;

use crate::client::Client;
use crate::clock::{now_ns, sleep};
use crate::cluster::{Cluster, Leader};
use crate::error::ChaosError;
use crate::fault::{PlannedFault, Target};

/// How long a target may have no meaning (no leader, during an election) before the fault fails.
const RESOLVE_BOUND: Duration = Duration::from_secs(10);
/// How often a wait looks again. The machine is under load: rarely.
const LOOK: Duration = Duration::from_millis(200);

/// A plan under way. [`Nemesis::join`] waits for its end; dropping ends it at once, healed.
#[derive(Debug)]
pub struct Nemesis {
    stage: Arc<Stage>,
    threads: Vec<JoinHandle<Result<(), ChaosError>>>,
}

/// Starts the plan: `at` of each fault counts from `warmup_end_ns`; `client` where a fault may meet it. Events are appended to `faults_jsonl`.
pub fn start(
    plan: Vec<PlannedFault>,
    (cluster, client): (Arc<Cluster>, Option<Arc<Client>>),
    warmup_end_ns: u64,
    faults_jsonl: &Path,
) -> Result<Nemesis, ChaosError> {
    let log = OpenOptions::new().create(true).append(true).open(faults_jsonl);
    let log = log.map_err(ChaosError::io(format!("write {}", faults_jsonl.display())))?;
    let stage = Stage {
        cluster,
        client,
        warmup_end_ns,
        log: Mutex::new(log),
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
    /// Waits until every fault is done and healed; the first failure of any.
    pub fn join(mut self) -> Result<(), ChaosError> {
        self.join_all()
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
    warmup_end_ns: u64,
    log: Mutex<File>,
    cancelled: Mutex<bool>,
    wake: Condvar,
}

/// A broker to hurt, and a partition whose leadership shows whether it hurt.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Aim {
    broker: u32,
    /// Topic, partition and its leader before: the broker aimed at.
    watched: Option<(String, u32, Leader)>,
    /// Appended to the names of evidence where a fault has several aims.
    suffix: String,
}

impl Stage {
    /// One fault from its sleep to its healing.
    fn play(&self, fault: &PlannedFault) -> Result<(), ChaosError> {
        let begin_ns = self.warmup_end_ns.saturating_add(nanos(fault.at));
        if !self.sleep_until(begin_ns) {
            return Ok(());
        }
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

    /// What the target means now, retried while an election is under way.
    fn resolve(&self, target: &Target) -> Result<Vec<Aim>, ChaosError> {
        let give_up_ns = now_ns() + nanos(RESOLVE_BOUND);
        loop {
            match self.resolve_now(target) {
                Err(ChaosError::Admin { .. })
                    if now_ns() < give_up_ns && self.sleep_until(now_ns() + nanos(LOOK)) => {}
                result => return result,
            }
        }
    }

    fn resolve_now(&self, target: &Target) -> Result<Vec<Aim>, ChaosError> {
        Ok(match target {
            Target::Leader { topic, partition } => {
                let leader = self.cluster.leader(topic, *partition)?;
                let watched = Some((topic.clone(), *partition, leader));
                vec![Aim {
                    broker: leader.broker,
                    watched,
                    suffix: String::new(),
                }]
            }
            Target::Broker(broker) => vec![self.aim_at(*broker, "")?],
            Target::EveryBroker => {
                let aims = self
                    .cluster
                    .broker_ids()
                    .into_iter()
                    .map(|broker| self.aim_at(broker, " of broker-"));
                aims.collect::<Result<_, _>>()?
            }
            Target::Client => Vec::new(),
            Target::Link(end) => self.resolve_now(end)?,
        })
    }

    fn aim_at(&self, broker: u32, suffix: &str) -> Result<Aim, ChaosError> {
        let watched = self.cluster.led_by(broker)?;
        let suffix = if suffix.is_empty() {
            String::new()
        } else {
            format!("{suffix}{broker}")
        };
        Ok(Aim {
            broker,
            watched,
            suffix,
        })
    }

    /// Watches until the leader that was hit leads no more, up to `until_ns`, and writes what it saw.
    fn watch_leader(&self, fault: &PlannedFault, aim: &Aim, until_ns: u64) -> Result<(), ChaosError> {
        let Some((topic, partition, before)) = &aim.watched else {
            return Ok(());
        };
        let begun_ns = now_ns();
        while now_ns() < until_ns && self.sleep_until(until_ns.min(now_ns() + nanos(LOOK))) {
            // No answer and no leader are what one expects just now.
            let Ok(after) = self.cluster.leader(topic, *partition) else {
                continue;
            };
            if after.broker != before.broker && after.epoch > before.epoch {
                let seconds = (now_ns() - begun_ns) as f64 / 1e9;
                let (from, to) = (before.broker, after.broker);
                let value = format!(
                    "{topic}-{partition}: epoch {} -> {}, broker-{from} -> broker-{to} within {seconds:.1} s",
                    before.epoch, after.epoch
                );
                return self.bit(fault, aim, "leader_epoch", value);
            }
        }
        Ok(())
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
