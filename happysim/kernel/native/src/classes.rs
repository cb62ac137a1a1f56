//! What is known of classes: found out once of each, and kept by its address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::prelude::*;

pub struct Classes<T> {
    /// With each class itself, which keeps it, and so its address, alive.
    known: Mutex<HashMap<usize, (Arc<T>, Py<PyAny>)>>,
}

impl<T> Default for Classes<T> {
    fn default() -> Self {
        Classes { known: Mutex::default() }
    }
}

impl<T> Classes<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<usize, (Arc<T>, Py<PyAny>)>> {
        self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// What is known of a class; `find` may ask Python, and is not called under the lock.
    pub fn get(&self, class: &Bound<'_, PyAny>, find: impl FnOnce() -> PyResult<T>) -> PyResult<Arc<T>> {
        let at = class.as_ptr() as usize;
        if let Some((known, _)) = self.lock().get(&at) {
            return Ok(known.clone());
        }
        let made = Arc::new(find()?);
        self.lock().insert(at, (made.clone(), class.clone().unbind()));
        Ok(made)
    }

    /// Finds out anew about every class.
    pub fn forget(&self) {
        self.lock().clear();
    }
}
