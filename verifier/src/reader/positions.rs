//! How far a consume-transform-produce job says that it is, asked for after the last outcome. Shell.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_wire::admin;

use super::cluster::{Cluster, Trouble};
use crate::seal::Positions;

/// The positions are not known: what rests on them cannot be judged.
#[derive(Debug, thiserror::Error)]
#[error("the committed positions of group {group} cannot be read: {reason}")]
pub struct NoPositions {
    group: String,
    reason: String,
}

/// Asks the group's coordinator for its committed, stable positions in `topic`, again and again until `deadline`.
pub fn read_positions(
    bootstrap: &[String],
    group: &str,
    (topic, partitions): (&str, u32),
    deadline: Duration,
) -> Result<Positions, NoPositions> {
    let mut cluster = Cluster::new(bootstrap, topic, deadline);
    let committed = cluster.persist(|cluster| {
        let mut trouble = Trouble::NotNow("no bootstrap server".into());
        for addr in bootstrap {
            match ask(cluster, addr, group, (topic, partitions)) {
                Ok(committed) => return Ok(committed),
                Err(failed) => trouble = failed,
            }
        }
        Err(trouble)
    });
    let committed = committed.map_err(|trouble| NoPositions {
        group: group.to_owned(),
        reason: trouble.to_string(),
    })?;
    Ok(Positions {
        topic: topic.to_owned(),
        partitions,
        group: group.to_owned(),
        committed,
    })
}

fn ask(
    cluster: &mut Cluster,
    addr: &str,
    group: &str,
    (topic, partitions): (&str, u32),
) -> Result<BTreeMap<i32, i64>, Trouble> {
    let coordinator = admin::group_coordinator(cluster.connection(addr)?, group)?;
    let connection = cluster.connection(&coordinator.addr)?;
    Ok(admin::committed_offsets(connection, group, topic, partitions)?)
}
