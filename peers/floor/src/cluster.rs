//! Who leads what, and a link to each leader.

use std::time::Duration;

use steadfast_verifier::workload::Workload;
use steadfast_wire::admin::{self, Metadata};
use steadfast_wire::connection::Connection;

use crate::batch::Batch;
use crate::link::{Answered, Link};
use crate::request::Request;

/// How long one broker may take to say who leads.
const ASK: Duration = Duration::from_secs(2);

/// The leaders of all partitions, connected.
pub(crate) struct Cluster {
    links: Vec<Link>,
    /// By partition: which link.
    link_of: Vec<usize>,
}

impl Cluster {
    /// Asks anyone for the leaders and connects to them; the last reason why that cannot be.
    pub(crate) fn find(workload: &Workload, request: &Request) -> Result<Cluster, String> {
        let mut why = "no bootstrap server is given".to_owned();
        for server in &workload.bootstrap_servers {
            let answer = Connection::connect(server, "floor", ASK)
                .map_err(|error| error.to_string())
                .and_then(|mut connection| {
                    admin::metadata(&mut connection, Some(&[&workload.topic]))
                        .map_err(|error| error.to_string())
                });
            match answer.and_then(|view| Cluster::connect(workload, request, &view)) {
                Ok(cluster) => return Ok(cluster),
                Err(reason) => why = reason,
            }
        }
        Err(why)
    }

    fn connect(workload: &Workload, request: &Request, view: &Metadata) -> Result<Cluster, String> {
        let topic = view.topics.iter().find(|topic| topic.name == workload.topic);
        let found = topic.map_or(0, |topic| topic.partitions.len());
        if found != workload.partitions as usize {
            return Err(format!(
                "topic {} has {found} partitions, the workload says {}",
                workload.topic, workload.partitions
            ));
        }
        let mut cluster = Cluster {
            links: Vec::new(),
            link_of: Vec::with_capacity(found),
        };
        for partition in topic.iter().flat_map(|topic| &topic.partitions) {
            let number = partition.partition;
            let leader = view
                .broker(partition.leader)
                .ok_or_else(|| format!("partition {number} has no leader"))?;
            let known = cluster.links.iter().position(|link| link.node() == leader.id);
            let link = match known {
                Some(link) => link,
                None => {
                    let link = Link::connect(leader.id, &leader.addr, request.clone());
                    cluster
                        .links
                        .push(link.map_err(|error| format!("{}: {error}", leader.addr))?);
                    cluster.links.len() - 1
                }
            };
            cluster.link_of.push(link);
        }
        Ok(cluster)
    }

    /// Sends each leader its batches in one request, then waits for all answers.
    pub(crate) fn exchange(&mut self, batches: &[Batch], answers: &mut Vec<Answered>) {
        let Cluster { links, link_of } = self;
        for (place, link) in links.iter_mut().enumerate() {
            let full = batches.iter().zip(link_of.iter()).zip(0..);
            link.send(full.filter_map(|((batch, &link), partition)| {
                (link == place && !batch.is_empty()).then_some((partition, batch))
            }));
        }
        for link in links {
            link.receive(answers);
        }
    }
}
