//! Ctrl-C and SIGTERM. The first asks every step to stop and heal; a second one, or `GRACE` without an end, leaves at
//! once, and the death signal that every child carries ends them with us. Either way: exit code 130, nothing keeps running
//! but, after the second, containers: no signal of ours reaches what is the engine's, so `heal` has to end them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// How long an orderly stop may take before the children are killed.
const GRACE: Duration = Duration::from_secs(30);

/// Tells every step of a run that the user wants to leave. Clones share one state.
#[derive(Clone)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
    waker: Arc<Mutex<Option<Sender<()>>>>,
}

impl Interrupt {
    /// Installs the handlers; `asked` is the flag that every bounded wait of `chaos` looks at too.
    pub(crate) fn install(asked: Arc<AtomicBool>) -> std::io::Result<Interrupt> {
        let interrupt = Interrupt {
            asked,
            waker: Arc::default(),
        };
        let ours = interrupt.clone();
        let mut signals = Signals::new([SIGINT, SIGTERM])?;
        std::thread::Builder::new()
            .name("signals".into())
            .spawn(move || {
                for _ in signals.forever() {
                    if ours.asked.swap(true, Ordering::SeqCst) {
                        give_up("interrupted again");
                    }
                    eprintln!("interrupted: healing and leaving (again to leave at once)");
                    if let Some(waker) = ours.waker.lock().ok().and_then(|mut waker| waker.take()) {
                        // The step may have ended by itself; then nobody listens and nothing is lost.
                        let _ = waker.send(());
                    }
                    std::thread::spawn(after_grace);
                }
            })?;
        Ok(interrupt)
    }

    /// True once the user asked to stop.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// `waker` gets one message when the user asks to stop (also when that was before this call).
    pub(crate) fn wake(&self, waker: Sender<()>) {
        if self.asked() {
            let _ = waker.send(());
        } else if let Ok(mut slot) = self.waker.lock() {
            *slot = Some(waker);
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a shell: the bounded wait of the last resort"
)]
fn after_grace() {
    std::thread::sleep(GRACE);
    give_up("healing took too long");
}

#[expect(
    clippy::disallowed_methods,
    reason = "the orderly way out did not work; the death signal ends every child"
)]
fn give_up(why: &str) -> ! {
    eprintln!("{why}: leaving at once; `steadfast heal` removes what is left on disk and in containers");
    std::process::exit(130)
}
