//! What will happen in virtual time, in order: the queue of `happysim/sim/agenda.py`.
//!
//! Entries are Python's tuples. Their times and numbers are kept beside them, as machine integers:
//! to compare those is most of the work of a queue.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

struct Entry {
    time: i128,
    number: u64,
    told: Py<PyTuple>,
}

impl Entry {
    fn key(&self) -> (i128, u64) {
        (self.time, self.number)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The greatest comes first in a heap of Rust, and here what comes first in time.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// A time in nanoseconds; beyond 10^21 years all are one.
fn time_of(value: &Bound<'_, PyAny>) -> PyResult<i128> {
    match value.extract::<i64>() {
        Ok(time) => Ok(i128::from(time)),
        Err(_) => value.extract::<i128>().or_else(|error| match value.gt(0) {
            Ok(true) => Ok(i128::MAX),
            _ => Err(error),
        }),
    }
}

/// A queue of tuples that begin with a time. Those of one time leave in the order in which they came.
#[pyclass]
#[derive(Default)]
pub struct Queue {
    heap: BinaryHeap<Entry>,
    number: u64,
}

#[pymethods]
impl Queue {
    #[new]
    fn new() -> Self {
        Queue::default()
    }

    /// Puts an entry where its time belongs.
    fn push(&mut self, entry: Bound<'_, PyTuple>) -> PyResult<()> {
        let time = time_of(&entry.get_item(0)?)?;
        self.heap.push(Entry { time, number: self.number, told: entry.unbind() });
        self.number += 1;
        Ok(())
    }

    /// Takes out the entries up to and including the time `limit`, one by one, also those that come
    /// meanwhile.
    fn until(slf: Bound<'_, Self>, limit: &Bound<'_, PyAny>) -> PyResult<Until> {
        Ok(Until { limit: time_of(limit)?, queue: slf.unbind() })
    }

    /// The first entry, which stays; None where there is none.
    fn first(&self, py: Python<'_>) -> Option<Py<PyTuple>> {
        self.heap.peek().map(|first| first.told.clone_ref(py))
    }

    /// Every entry, in order.
    fn entries(&self, py: Python<'_>) -> Vec<Py<PyTuple>> {
        let mut found: Vec<&Entry> = self.heap.iter().collect();
        found.sort_by_key(|each| each.key());
        found.into_iter().map(|each| each.told.clone_ref(py)).collect()
    }

    fn __len__(&self) -> usize {
        self.heap.len()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.heap.iter().try_for_each(|each| visit.call(&each.told))
    }

    fn __clear__(&mut self) {
        self.heap.clear();
    }
}

#[pyclass]
pub struct Until {
    limit: i128,
    queue: Py<Queue>,
}

#[pymethods]
impl Until {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Option<Py<PyTuple>> {
        let heap = &mut self.queue.borrow_mut(py).heap;
        if heap.peek().is_none_or(|first| first.time > self.limit) {
            return None;
        }
        heap.pop().map(|first| first.told)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.queue)
    }
}
