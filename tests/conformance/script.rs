//! The script: every case in the order in which it is played. M1 to M17 are the facts that the producer's rules rest on
//! (`producer/src/lib.rs`); the others are what a client can provoke beside them.
//!
//! A case makes its own topics, producers and groups, so that each can be read alone. The first of them finds a fresh cluster,
//! and leaves one whose coordinators are there.

mod coordinators; // how they come up
mod dedupe; // M1-M4, M8, M15, M16: sequence numbers
mod restart; // M5-M7: what a restart forgets
mod transactions; // M9, M12, M14, M17: transactions of both protocols
mod fencing; // M10, M11, M13: who owns a transactional id
mod offsets; // positions of groups, in and out of transactions
mod records; // refusals of records and topics
mod administration; // topics, settings
mod versions; // every API at both ends of its range
mod malformed; // bytes that are no request

use steadfast_wire::kafka_protocol::messages::ApiKey;

use super::player::Case;

/// All of it.
pub(crate) fn script() -> Vec<Case> {
    [
        coordinators::CASES,
        dedupe::CASES,
        transactions::CASES,
        fencing::CASES,
        offsets::CASES,
        records::CASES,
        administration::CASES,
        versions::CASES,
        malformed::CASES,
        restart::CASES,
    ]
    .concat()
}

/// What transaction version 2 needs of a broker.
const NEEDS_TV2: Option<(ApiKey, i16)> = Some((ApiKey::EndTxn, 5));
