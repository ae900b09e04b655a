//! The client of a run as a process that may die and be started again: shared by who follows it and by the nemesis.
//!
//! ```text
//! start(0) ─▶ running ── kill ─▶ down ── start_again: start(1) ─▶ running ...
//! ```

use std::process::ChildStdout;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::ChaosError;
use crate::process::{Child, describe_status};

/// Starts the incarnation of this number.
type Start = Box<dyn Fn(u32) -> Result<Child, String> + Send + Sync>;

/// See the module. Dropping it ends the process.
pub struct Client {
    start: Start,
    state: Mutex<State>,
}

struct State {
    child: Child,
    incarnation: u32,
    /// Killed on purpose, and to be started again.
    down: bool,
}

impl Client {
    /// Starts the first incarnation.
    pub fn start(start: Start) -> Result<Client, String> {
        let child = start(0)?;
        Ok(Client {
            start,
            state: Mutex::new(State {
                child,
                incarnation: 0,
                down: false,
            }),
        })
    }

    /// Process id of the present incarnation, or of the last.
    pub fn pid(&self) -> u32 {
        self.locked().child.pid
    }

    /// It was killed on purpose and does not run again yet.
    pub fn is_down(&self) -> bool {
        self.locked().down
    }

    /// The output of the present incarnation, once.
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        let mut state = self.locked();
        if state.down {
            None
        } else {
            state.child.take_stdout()
        }
    }

    /// `worker-0 (pid 4711)`, for evidence.
    pub fn life(&self) -> String {
        let state = self.locked();
        format!("{} (pid {})", state.child.name, state.child.pid)
    }

    /// SIGKILL; tells how it ended.
    pub fn kill(&self) -> Result<String, ChaosError> {
        let mut state = self.locked();
        let ended = |source| ChaosError::io("kill the client")(source);
        if let Some(status) = state.child.try_wait().map_err(ended)? {
            let what = format!("it had ended before by itself: {}", describe_status(status));
            return Err(ChaosError::admin("kill the client", what));
        }
        // Before the signal: who sees its output end must know why.
        state.down = true;
        state.child.kill().map(describe_status).map_err(ended)
    }

    /// Starts the next incarnation.
    pub fn start_again(&self) -> Result<(), ChaosError> {
        let mut state = self.locked();
        // Also when it cannot be started: nobody is to wait for it then.
        state.down = false;
        let next = state.incarnation + 1;
        state.child = (self.start)(next).map_err(|why| ChaosError::admin("start the client again", why))?;
        state.incarnation = next;
        Ok(())
    }

    /// Its exit code, if it ends within `bound`.
    pub fn exit_code(&self, bound: Duration) -> Option<i32> {
        let ended = self.locked().child.wait(bound);
        ended.ok().flatten()?.code()
    }

    /// SIGTERM, `grace` to go by itself, then SIGKILL.
    pub fn terminate(&self, grace: Duration) -> std::io::Result<()> {
        self.locked().child.terminate(grace).map(|_| ())
    }

    /// A poisoned lock means that another thread panicked; what it left is a process to be ended.
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Client({})", self.life())
    }
}
