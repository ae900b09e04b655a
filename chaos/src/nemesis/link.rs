//! Faults of links: silence, toxics, closed proxies. Of those between clients and brokers the brokers feel nothing: they talk to
//! each other on listeners of their own. Links between brokers carry what they fetch and what they ask the controller, and the
//! votes of the quorum; clients, and whoever looks at the cluster, feel nothing of those.
//!
//! A toxic that reads back right has not bitten yet. What shows that it did is measured from outside, by [`felt`], and at
//! its end the connections of the client are counted: a link that nobody used was hurt for nothing.

use std::time::Duration;

use super::mend::{Hurt, Mend, Told};
use super::{Aim, Stage};
use crate::clock::{Deadline, now_ns};
use crate::cluster::{BACK_BOUND, probe};
use crate::error::ChaosError;
use crate::fault::{Action, PlannedFault, Target};
use crate::toxic::{Stream, Toxic, ToxicKind};
use crate::toxiproxy::{Bite, Link, LinkFault};

/// A broker behind an open proxy answers on loopback well within this.
const SILENCE_PROBE: Duration = Duration::from_millis(500);
/// How long one measured exchange may take.
const SAMPLE_BOUND: Duration = Duration::from_secs(3);
/// How often an exchange is measured; the median counts.
const SAMPLES: usize = 3;
/// What a busy machine adds by itself: less cannot be told from nothing.
const NOTICEABLE: Duration = Duration::from_millis(2);

/// One link of those that a fault hurts together.
struct Strand {
    /// The broker at its end, and what its evidence is called.
    aim: Aim,
    link: Link,
    done: LinkFault,
}

/// Hurts the links of a volley together, and mends them at `end_ns`.
pub(super) fn hurt(
    stage: &Stage,
    fault: &PlannedFault,
    volley: &[Aim],
    end_ns: u64,
) -> Result<(), ChaosError> {
    let failed = |strand: &Strand, reason: String| {
        ChaosError::admin(format!("{} on {}", fault.action.word(), strand.link), reason)
    };
    let strands = strands(stage, fault, volley)?;
    let mut wounds = Vec::new();
    for strand in &strands {
        let Strand { aim, link, done } = strand;
        let server = stage.cluster.entrance(*link)?;
        let before = sample(*done, &server, Deadline::after(SAMPLE_BOUND)).map_err(|reason| {
            let reason = format!("before the fault, through the proxy: {reason}");
            failed(strand, reason)
        })?;
        stage.cluster.hurt_link(*link, *done)?;
        let mend = Mend::new(&stage.cluster, aim.broker, Hurt::Link(*link));
        wounds.push((strand, server, before, mend));
        let state = format!("{done}, as the proxy reads back");
        stage.bit(fault, aim, "link_state", state)?;
    }
    let mut left = u64::try_from(wounds.len()).unwrap_or(1);
    for (strand, server, before, _) in &wounds {
        // The time that is left is shared among the links that are left.
        let span = Duration::from_nanos(end_ns.saturating_sub(now_ns()) / left.max(1));
        left -= 1;
        let deadline = Deadline::after(span.max(SILENCE_PROBE));
        let seen = felt(strand.done, server, *before, deadline);
        let (what, value) = seen.map_err(|reason| failed(strand, reason))?;
        stage.bit(fault, &strand.aim, what, value)?;
    }
    let between = matches!(fault.target, Target::Between { .. });
    if between {
        stage.watch_leaders(fault, volley, end_ns)?;
    }
    stage.sleep_until(end_ns);
    let user = if between { "broker" } else { "client" };
    let mut unmet = Vec::new();
    for (strand, _, _, mend) in wounds {
        // What it did to those who use it is known only afterwards. Bytes alone prove nothing, since the probe sent some; its
        // connections are closed and not counted.
        match mend.mend()? {
            Told::Link(bite) if met(strand.done, &bite) => {
                stage.bit(fault, &strand.aim, "link", bite.to_string())?;
            }
            Told::Link(bite) if bite.connections_before > 0 => {
                unmet.push((strand, format!("no connection of a {user} ended: {bite}")));
            }
            _ => unmet.push((strand, format!("no {user} was connected to it"))),
        }
    }
    // A broker that leads nothing has no client: of several links, those in use are what the fault was about.
    let nobody = unmet.len() == strands.len();
    for (strand, reason) in unmet {
        if nobody {
            return Err(failed(strand, reason));
        }
        stage.bit(fault, &strand.aim, "not_met", reason)?;
    }
    for strand in strands.iter().filter(|_| between) {
        stage.cluster.wait_until_in_sync(strand.link.to(), BACK_BOUND)?;
    }
    Ok(())
}

/// The links that the fault hurts, each in its own direction.
fn strands(stage: &Stage, fault: &PlannedFault, volley: &[Aim]) -> Result<Vec<Strand>, ChaosError> {
    let done = match &fault.action {
        Action::Down => LinkFault::Down,
        Action::Toxic(toxic) => LinkFault::Toxic(*toxic),
        _ => LinkFault::Toxic(Toxic::SILENCE),
    };
    if !matches!(fault.target, Target::Between { .. }) {
        let of_clients = |aim: &Aim| Strand {
            aim: aim.clone(),
            link: Link::OfClients { to: aim.broker },
            done,
        };
        return Ok(volley.iter().map(of_clients).collect());
    }
    let strand = |from: u32, to: u32, done: LinkFault| Strand {
        aim: Aim {
            broker: to,
            watched: None,
            suffix: format!(" from broker-{from} to broker-{to}"),
        },
        link: Link::OfBroker { from, to },
        done,
    };
    let mut strands = Vec::new();
    for other in stage.others(fault, volley)? {
        for aim in volley {
            strands.push(strand(aim.broker, other, done));
            strands.push(strand(other, aim.broker, done.reversed()));
        }
    }
    Ok(strands)
}

/// Pure: whether whoever uses the link felt it. What ends connections has ended one of theirs.
fn met(fault: LinkFault, bite: &Bite) -> bool {
    let ended = bite.connections_ended + bite.connections_cut > 0;
    match fault {
        LinkFault::Toxic(toxic) if !toxic.kind.ends_connections() => bite.connections_before > 0,
        _ => ended,
    }
}

/// How long the exchange takes that this fault would slow down, through the proxy; zero where it slows down nothing.
fn sample(fault: LinkFault, server: &str, deadline: Deadline) -> Result<Duration, String> {
    let LinkFault::Toxic(toxic) = fault else {
        return Ok(Duration::ZERO);
    };
    let once = || {
        let bound = deadline.left().clamp(Duration::from_millis(50), SAMPLE_BOUND);
        match toxic.kind {
            ToxicKind::Latency { .. } => probe::round_trip(server, bound),
            ToxicKind::Bandwidth { .. } | ToxicKind::Slicer { .. } => probe::bulk(server, bound),
            ToxicKind::SlowClose { .. } => probe::close(server, bound),
            _ => Ok(Duration::ZERO),
        }
    };
    let mut taken = vec![once()?];
    while taken.len() < SAMPLES && !deadline.passed() {
        taken.push(once()?);
    }
    taken.sort_unstable();
    Ok(taken[taken.len() / 2])
}

/// What shows that a link is hurt, measured on new connections through it: name and value, or why it does not look hurt.
fn felt(
    fault: LinkFault,
    server: &str,
    before: Duration,
    deadline: Deadline,
) -> Result<(&'static str, String), String> {
    let bound = deadline.left().clamp(SILENCE_PROBE, SAMPLE_BOUND);
    let kind = match fault {
        LinkFault::Down => {
            return match probe::refused(server, SILENCE_PROBE) {
                true => Ok(("refused", "a new connection was refused".into())),
                false => Err("a new connection was taken".into()),
            };
        }
        LinkFault::Toxic(toxic) => toxic.kind,
    };
    match kind {
        ToxicKind::Timeout { .. } | ToxicKind::ResetPeer { .. } => {
            match probe::round_trip(server, SILENCE_PROBE) {
                Err(reason) if matches!(kind, ToxicKind::ResetPeer { .. }) => Ok(("reset", reason)),
                Err(reason) => Ok(("silence", reason)),
                Ok(_) => Err("a new connection through the proxy got an answer".into()),
            }
        }
        ToxicKind::LimitData { bytes } => Ok(match probe::until_closed(server, bytes, bound) {
            Some(reason) => ("cut", reason),
            // It ends connections, and whether it ended the client's is counted at its end.
            None => ("not_reached", "a probe sent fewer bytes than that".into()),
        }),
        _ => {
            let LinkFault::Toxic(toxic) = fault else {
                return Err("nothing to measure".into());
            };
            let expected = slowdown(toxic);
            let with = sample(fault, server, deadline);
            let before_ms = millis(before);
            match with {
                Err(reason) => Ok(("slower", format!("{before_ms} before; with it: {reason}"))),
                Ok(with) if with.saturating_sub(before) >= NOTICEABLE.max(expected / 2) => Ok((
                    "slower",
                    format!("{before_ms} before, {} with it (median)", millis(with)),
                )),
                Ok(with) => Err(format!(
                    "an exchange through the proxy took {before_ms} before and {} with it; {} more were to be expected",
                    millis(with),
                    millis(expected),
                )),
            }
        }
    }
}

/// Pure: by how much a toxic slows down the exchange that [`sample`] measures.
fn slowdown(toxic: Toxic) -> Duration {
    let bulk = probe::BULK_BYTES as u64;
    let one_way = match toxic.kind {
        ToxicKind::Latency { latency, .. } => Duration::from_millis(latency.into()),
        // KB/s are bytes a millisecond.
        ToxicKind::Bandwidth { rate } => Duration::from_millis(bulk / u64::from(rate.max(1))),
        ToxicKind::Slicer {
            average_size, delay, ..
        } => Duration::from_micros(bulk / u64::from(average_size.max(1)) * u64::from(delay)),
        // Whichever way comes first ends the other one too.
        ToxicKind::SlowClose { delay } => return Duration::from_millis(delay.into()),
        ToxicKind::Timeout { .. } | ToxicKind::ResetPeer { .. } | ToxicKind::LimitData { .. } => {
            return Duration::ZERO;
        }
    };
    one_way * if toxic.stream == Stream::Both { 2 } else { 1 }
}

fn millis(span: Duration) -> String {
    format!("{:.1} ms", span.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toxic(kind: ToxicKind, stream: Stream) -> Toxic {
        Toxic { kind, stream }
    }

    #[test]
    fn what_a_toxic_should_cost_is_known_beforehand() {
        let latency = ToxicKind::Latency {
            latency: 40,
            jitter: 20,
        };
        assert_eq!(
            slowdown(toxic(latency, Stream::Upstream)),
            Duration::from_millis(40)
        );
        assert_eq!(slowdown(toxic(latency, Stream::Both)), Duration::from_millis(80));
        let thin = slowdown(toxic(ToxicKind::Bandwidth { rate: 100 }, Stream::Upstream));
        assert_eq!(thin.as_millis() as usize, probe::BULK_BYTES / 100);
    }

    #[test]
    fn one_way_from_a_broker_is_the_other_way_on_connections_that_others_opened() {
        let silent = |stream| LinkFault::Toxic(toxic(ToxicKind::Timeout { timeout: 0 }, stream));
        assert_eq!(silent(Stream::Upstream).reversed(), silent(Stream::Downstream));
        assert_eq!(silent(Stream::Downstream).reversed(), silent(Stream::Upstream));
        assert_eq!(silent(Stream::Both).reversed(), silent(Stream::Both));
        assert_eq!(LinkFault::Down.reversed(), LinkFault::Down);
    }

    #[test]
    fn a_link_that_nobody_used_was_not_met_and_a_cut_must_have_cut() {
        let idle = Bite {
            connections_before: 0,
            connections_ended: 0,
            connections_cut: 0,
            swallowed_to_broker: 100,
            swallowed_to_client: 0,
        };
        let used = Bite {
            connections_before: 2,
            ..idle
        };
        let cut = Bite {
            connections_ended: 1,
            ..used
        };
        let slow = LinkFault::Toxic(toxic(
            ToxicKind::Latency {
                latency: 1,
                jitter: 0,
            },
            Stream::Both,
        ));
        let reset = LinkFault::Toxic(toxic(ToxicKind::ResetPeer { timeout: 0 }, Stream::Upstream));
        for fault in [LinkFault::Down, slow, reset, LinkFault::Toxic(Toxic::SILENCE)] {
            assert!(!met(fault, &idle), "{fault}");
            assert!(met(fault, &cut), "{fault}");
        }
        assert!(met(slow, &used));
        assert!(!met(reset, &used) && !met(LinkFault::Down, &used));
    }
}
