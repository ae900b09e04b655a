//! Who we are to the cluster: producer id and epoch (KIP-98, KIP-360).
//!
//! - A1: InitProducerId with a null transactional id gives a fresh id at epoch 0 and fences nobody.
//! - A14: the epoch is raised by ourselves, without a request, and only when no UNKNOWN batch would have to be
//!   stamped anew; sequences then start at 0 on every partition. The last epoch is 32767; after it, a fresh id.
//! - With a transactional id the coordinator alone gives ids and epochs: see `transaction.rs`.

/// A producer id with its epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    /// Batches under it belong to transactions, all of them (B10).
    pub(crate) transactional: bool,
}

impl Identity {
    /// The identity after a local bump; `None` when the id is used up and InitProducerId must give another.
    pub(crate) fn bumped(self) -> Option<Identity> {
        self.epoch.checked_add(1).map(|epoch| Identity { epoch, ..self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_raised_until_the_id_is_used_up() {
        let identity = Identity {
            id: 7,
            epoch: 32_766,
            transactional: false,
        };
        let last = identity.bumped();
        assert_eq!(last.map(|last| (last.id, last.epoch)), Some((7, 32_767)));
        assert_eq!(last.and_then(Identity::bumped), None);
    }
}
