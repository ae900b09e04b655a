//! Hooks: the n-th request of an API is held, dropped, cut off or answered with an error, before or after its effect.
//!
//! ```text
//! request ──▶ BeforeEffect ──▶ effect ──▶ AfterEffect ──▶ answer
//! ```
//!
//! This is how a test or a simulation asks for the cases that a network gives only now and then: an acknowledgement
//! that is lost, a request that takes effect after its sender gave up.

/// What to do to which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Hook {
    /// On this node only.
    pub node: Option<i32>,
    /// Kafka's number of the API.
    pub api_key: i16,
    /// 1 is the next one, counted from when the hook is set.
    pub nth: u32,
    /// Before or after the request changed anything.
    pub when: When,
    /// What happens to it.
    pub what: What,
}

/// Before or after the request changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum When {
    /// The request has not been looked at.
    BeforeEffect,
    /// All is done but the answer.
    AfterEffect,
}

/// What happens to a hooked request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum What {
    /// It waits for [`crate::Model::release`], and everything behind it on its connection too.
    Hold,
    /// It is never answered, nor is anything behind it: what a silent network looks like.
    Drop,
    /// Its connection is closed.
    Disconnect,
    /// It is answered with this error code wherever its answer has room for one.
    AnswerError(i16),
}

/// Names a hook that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HookId(pub u64);

/// Hooks that have not struck yet.
#[derive(Debug, Default)]
pub(crate) struct Hooks {
    set: Vec<(HookId, Hook)>,
    next: u64,
}

impl Hooks {
    pub(crate) fn set(&mut self, hook: Hook) -> HookId {
        self.next += 1;
        let id = HookId(self.next);
        self.set.push((id, hook));
        id
    }

    pub(crate) fn unset(&mut self, id: HookId) {
        self.set.retain(|(set, _)| *set != id);
    }

    /// Counts a request; answers the hook that strikes it, and takes it away. Every hook counts every request, so
    /// that two hooks for the 1st and 2nd mean two requests in a row.
    pub(crate) fn strike(&mut self, node: i32, api_key: i16) -> Option<(HookId, Hook)> {
        let mut struck = None;
        for (at, (_, hook)) in self.set.iter_mut().enumerate() {
            if hook.api_key == api_key && hook.node.is_none_or(|on| on == node) {
                hook.nth = hook.nth.saturating_sub(1);
                if hook.nth == 0 && struck.is_none() {
                    struck = Some(at);
                }
            }
        }
        struck.map(|at| self.set.remove(at))
    }
}
