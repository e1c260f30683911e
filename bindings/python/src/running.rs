//! Long work beside Python: the interpreter is free, its threads go on, Ctrl-C and the caller's progress function stop it.

use crate::errors::raised;
use agcfix::Error;
use agcfix::progress::{Observer, Stage};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often Ctrl-C is looked for.
const LOOK: Duration = Duration::from_millis(50);

/// What the work tells the thread that waits for it.
enum Told<T> {
    Progress(Stage, f64),
    Finished(Result<T, Error>),
}

/// Sends progress on; stops the work when the waiting thread says so.
struct Watcher<'a, T> {
    /// A sender is not shared between threads by itself.
    tell: Mutex<Sender<Told<T>>>,
    is_stopped: &'a AtomicBool,
    is_watched: bool,
}

impl<T: Send> Observer for Watcher<'_, T> {
    fn progress(&self, stage: Stage, fraction: f64) -> bool {
        if self.is_watched {
            // Nobody listens any more only after the end.
            let _ = self.tell.lock().unwrap_or_else(PoisonError::into_inner).send(Told::Progress(stage, fraction));
        }
        !self.is_stopped.load(Ordering::Relaxed)
    }
}

/// Does `work` on `threads` threads (all of the machine's where `None`) while the caller's thread calls `progress`, a callable of
/// stage and fraction that may return `False` or raise to stop the work.
pub fn run<T: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    progress: Option<Py<PyAny>>,
    work: impl FnOnce(&dyn Observer) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let pool = match threads {
        None => None,
        Some(0) => {
            return Err(crate::errors::invalid(py, "threads", "0 of them".to_owned(), "give 1 or more, or None"));
        }
        Some(n) => Some(
            rayon::ThreadPoolBuilder::new()
                .num_threads(n)
                .build()
                .map_err(|error| PyRuntimeError::new_err(format!("{n} threads: {error}")))?,
        ),
    };
    py.detach(|| {
        let (tell, told) = mpsc::channel();
        let is_stopped = AtomicBool::new(false);
        let mut raised_by_caller: Option<PyErr> = None;
        let finished = std::thread::scope(|scope| {
            let watcher =
                Watcher { tell: Mutex::new(tell.clone()), is_stopped: &is_stopped, is_watched: progress.is_some() };
            scope.spawn(move || {
                let result = match &pool {
                    Some(pool) => pool.install(|| work(&watcher)),
                    None => work(&watcher),
                };
                let _ = tell.send(Told::Finished(result));
            });
            loop {
                let answered = match told.recv_timeout(LOOK) {
                    Ok(Told::Finished(result)) => break Some(result),
                    Ok(Told::Progress(stage, fraction)) if raised_by_caller.is_none() => {
                        Python::attach(|py| asked(py, progress.as_ref(), stage, fraction))
                    }
                    Err(RecvTimeoutError::Timeout) if raised_by_caller.is_none() => {
                        Python::attach(|py| py.check_signals().map(|()| true))
                    }
                    Ok(Told::Progress(..)) | Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => break None,
                };
                match answered {
                    Ok(true) => {}
                    Ok(false) => is_stopped.store(true, Ordering::Relaxed),
                    Err(error) => {
                        is_stopped.store(true, Ordering::Relaxed);
                        raised_by_caller = Some(error);
                    }
                }
            }
        });
        Python::attach(|py| match (raised_by_caller, finished) {
            (Some(error), _) => Err(error),
            (None, Some(result)) => result.map_err(|error| raised(py, &error)),
            (None, None) => {
                Err(PyRuntimeError::new_err("agcfix ended without a result: this is a defect, please report it"))
            }
        })
    })
}

/// Whether the caller's function wants to go on: everything but `False` means yes.
fn asked(py: Python<'_>, progress: Option<&Py<PyAny>>, stage: Stage, fraction: f64) -> PyResult<bool> {
    let Some(progress) = progress else { return Ok(true) };
    let answer = progress.call1(py, (stage.name(), fraction))?;
    let answer = answer.bind(py);
    Ok(!answer.is_instance_of::<pyo3::types::PyBool>() || answer.is_truthy()?)
}
