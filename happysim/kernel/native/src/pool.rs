//! Threads that wait for work. Whoever is free takes the next piece, and nobody is waited for who
//! has taken none: on a busy machine a thread that gets no processor holds nothing up.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;

/// Work that every thread does pieces of, until there is none left.
type Work<'a> = dyn Fn() + Sync + 'a;

struct Job(*const Work<'static>);

// SAFETY: the work itself is `Sync`, and `Pool::run` keeps it alive while a thread is at it.
unsafe impl Send for Job {}

#[derive(Default)]
struct State {
    job: Option<Job>,
    /// Raised with each job, so that a thread does not begin one twice.
    number: u64,
    busy: usize,
    closing: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    rest: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

pub struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

/// Says that a thread is done, also where its work panics.
struct Busy<'a>(&'a Shared);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
        self.0.rest.notify_all();
    }
}

/// Takes the job away, and waits for those who are at it.
struct Running<'a>(&'a Shared);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.job = None;
        while state.busy > 0 {
            state = self.0.rest.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }
}

impl Pool {
    /// So many threads besides the one that calls. Fewer where the system gives no more.
    pub fn new(others: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let spawn = |_| {
            let shared = shared.clone();
            std::thread::Builder::new().spawn(move || wait_for_work(&shared)).ok()
        };
        let threads = (0..others).filter_map(spawn).collect();
        Pool { shared, threads }
    }

    /// Does the work together with the others, but `own` first, which the others do not wait for.
    /// All of it is done when this returns.
    pub fn run(&self, own: impl FnOnce(), work: &Work<'_>) {
        // SAFETY: `Running` takes the job away and waits for all threads before `work` ends.
        let job: *const Work<'static> = unsafe { std::mem::transmute(std::ptr::from_ref(work)) };
        let mut state = self.shared.lock();
        state.job = Some(Job(job));
        state.number += 1;
        drop(state);
        self.shared.work.notify_all();
        let _running = Running(&self.shared);
        own();
        work();
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn wait_for_work(shared: &Shared) {
    let mut done = 0;
    loop {
        let mut state = shared.lock();
        let job = loop {
            if state.closing {
                return;
            }
            match &state.job {
                Some(Job(job)) if state.number != done => break *job,
                _ => state = shared.work.wait(state).unwrap_or_else(|poisoned| poisoned.into_inner()),
            }
        };
        done = state.number;
        state.busy += 1;
        drop(state);
        let _busy = Busy(shared);
        // SAFETY: `busy` was raised while the job was there, so `Pool::run` waits for this thread.
        unsafe { (*job)() };
    }
}
