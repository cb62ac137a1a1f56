//! Settling the fields of a live node, as `happysim/sim/settle.py` does it, which says why and how.
//!
//! What is here is what most handlers leave: fields that have not changed, and new values that hold
//! no set. All else is left to the Python object of the field. Both see the same changes.

use pyo3::exceptions::PyKeyError;
use pyo3::ffi;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::classes::Classes;

/// Values nested deeper are left to Python.
const DEPTH_MAX: u32 = 50;

/// What is to be looked at in a value of one class, to see whether it holds a set or can change.
enum Look {
    Fields(Vec<Py<PyString>>),
    /// It can change, or may hold a set.
    Refused,
}

/// Looks for sets, by class. One serves all nodes.
#[pyclass(frozen)]
pub struct Looks {
    known: Classes<Look>,
    plan: Py<PyAny>,
    stable_set: Py<PyAny>,
    stable_frozenset: Py<PyAny>,
}

#[pymethods]
impl Looks {
    /// `plan(kind)` is `looked_at` of `values.py`; the two classes are those of stable sets.
    #[new]
    fn new(plan: Py<PyAny>, stable_set: Py<PyAny>, stable_frozenset: Py<PyAny>) -> Self {
        Looks { known: Classes::default(), plan, stable_set, stable_frozenset }
    }

    /// As `is_set_free` of `values.py`, but false for what is nested very deeply.
    fn is_set_free(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.is_free(value)
    }
}

impl Looks {
    fn planned(&self, class: &Bound<'_, PyAny>) -> PyResult<Look> {
        let said = self.plan.bind(class.py()).call1((class,))?;
        let names = said.extract::<Option<Vec<Py<PyString>>>>()?;
        Ok(names.map_or(Look::Refused, Look::Fields))
    }

    /// True for a value that nobody can change and that holds no set: whatever equals it neither.
    fn is_free(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.holds_none(value, DEPTH_MAX, false)
    }

    /// True for a value that nobody can change and that holds no set but stable ones.
    fn is_settled(&self, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.holds_none(value, DEPTH_MAX, true)
    }

    fn holds_none(&self, value: &Bound<'_, PyAny>, depth: u32, but_stable: bool) -> PyResult<bool> {
        let class = value.get_type_ptr() as usize;
        let atoms = [&raw mut ffi::PyUnicode_Type as usize, &raw mut ffi::PyLong_Type as usize];
        if atoms.contains(&class) || value.is_none() {
            return Ok(true);
        }
        let Some(depth) = depth.checked_sub(1) else { return Ok(false) };
        if class == &raw mut ffi::PyTuple_Type as usize {
            // SAFETY: its class is `tuple`.
            for item in unsafe { value.cast_unchecked::<PyTuple>() }.iter_borrowed() {
                if !self.holds_none(&item, depth, but_stable)? {
                    return Ok(false);
                }
            }
            return Ok(true);
        }
        if but_stable && class == self.stable_frozenset.as_ptr() as usize {
            return self.are_free(value);
        }
        let class = value.get_type();
        match &*self.known.get(&class, || self.planned(&class))? {
            Look::Refused => Ok(false),
            Look::Fields(names) => {
                for name in names {
                    if !self.holds_none(&value.getattr(name.bind(value.py()))?, depth, but_stable)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }

    fn are_free(&self, values: &Bound<'_, PyAny>) -> PyResult<bool> {
        for each in values.try_iter()? {
            if !self.is_free(&each?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A stable set in the place of a built-in one whose elements hold none; else None.
    fn stable<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let class = value.get_type_ptr() as usize;
        let made = if class == &raw mut ffi::PySet_Type as usize {
            &self.stable_set
        } else if class == &raw mut ffi::PyFrozenSet_Type as usize {
            &self.stable_frozenset
        } else if class == self.stable_set.as_ptr() as usize {
            return Ok(Some(value.clone()));
        } else {
            return Ok(None);
        };
        if !self.are_free(value)? {
            return Ok(None);
        }
        made.bind(value.py()).call1((value,)).map(Some)
    }
}

/// How the next change of a field is seen; the numbers are those of `settle.py`.
#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Same = 0,
    Flat = 1,
    Log = 2,
    Deep = 3,
}

/// A field: what it held when it was last looked at, and with what that is compared.
struct Field {
    name: Py<PyString>,
    /// Where `PyDict_Next` finds it.
    place: ffi::Py_ssize_t,
    /// The field in Python, what it settles deep values with, and the name of its log.
    python: Py<PyAny>,
    settle: Py<PyAny>,
    log: Option<Py<PyString>>,
    sort: Sort,
    held: Option<Py<PyAny>>,
    shown: Option<Py<PyAny>>,
    size: usize,
    last: Option<Py<PyAny>>,
}

fn is_at(one: Option<&Py<PyAny>>, other: *mut ffi::PyObject) -> bool {
    one.is_some_and(|one| one.as_ptr() == other)
}

fn is(one: Option<&Py<PyAny>>, other: &Bound<'_, PyAny>) -> bool {
    one.is_some_and(|one| one.as_ptr() == other.as_ptr())
}

/// Settles the fields of one node.
#[pyclass]
pub struct Settling {
    looks: Py<Looks>,
    fields: Vec<Field>,
    values: Py<PyDict>,
}

#[pymethods]
impl Settling {
    /// `fields` are the objects of `settle.py`, one for each field; `values` the `vars` of the node.
    #[new]
    fn new(
        looks: Py<Looks>,
        fields: Vec<Bound<'_, PyAny>>,
        values: Py<PyDict>,
    ) -> PyResult<Self> {
        let fields = fields.into_iter().map(|each| {
            let log: Py<PyString> = each.getattr("log_name")?.extract()?;
            let is_log = log.bind(each.py()).is_truthy()?;
            Ok(Field {
                name: each.getattr("name")?.extract()?,
                place: 0,
                settle: each.getattr("settle")?.unbind(),
                log: is_log.then_some(log),
                python: each.unbind(),
                sort: Sort::Same,
                held: None,
                shown: None,
                size: 0,
                last: None,
            })
        });
        Ok(Settling { looks, fields: fields.collect::<PyResult<_>>()?, values })
    }

    /// Leaves no built-in set in these fields.
    fn settle(&mut self, py: Python<'_>) -> PyResult<()> {
        let (looks, values) = (self.looks.get(), self.values.bind(py));
        for field in &mut self.fields {
            let same = is_at(field.held.as_ref(), field.at_its_place(values));
            if !same || (field.sort != Sort::Same && field.has_changed(looks, py)?) {
                field.look_again(looks, values)?;
            }
        }
        Ok(())
    }

    /// The same, but looks at every part of every field, changed or not.
    fn settle_all(&mut self, py: Python<'_>) -> PyResult<()> {
        let (looks, values) = (self.looks.get(), self.values.bind(py));
        for field in &mut self.fields {
            field.look_at_all(looks, values)?;
        }
        Ok(())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.values)?;
        for field in &self.fields {
            visit.call(&field.python)?;
            visit.call(&field.settle)?;
            for each in [&field.held, &field.shown, &field.last] {
                visit.call(each)?;
            }
        }
        Ok(())
    }

    fn __clear__(&mut self) {
        self.fields.clear();
    }
}

impl Field {
    /// The address of what the field holds, if it is where it was before; else null.
    ///
    /// Places are those of `PyDict_Next`, which says not what they mean, so the name has to fit.
    fn at_its_place(&self, values: &Bound<'_, PyDict>) -> *mut ffi::PyObject {
        let (mut place, mut key, mut value) = (self.place, std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: a dict that is alive, and what is found is looked at by its address alone. A place
        // beyond the end of the dict is none.
        let found = unsafe { ffi::PyDict_Next(values.as_ptr(), &mut place, &mut key, &mut value) };
        if found != 0 && key == self.name.as_ptr() { value } else { std::ptr::null_mut() }
    }

    /// Notes the place of the field, if it has one.
    fn find_place(&mut self, values: &Bound<'_, PyDict>) {
        let (mut place, mut key) = (0, std::ptr::null_mut());
        self.place = 0;
        loop {
            let before = place;
            // SAFETY: as above.
            let found =
                unsafe { ffi::PyDict_Next(values.as_ptr(), &mut place, &mut key, std::ptr::null_mut()) };
            if found == 0 {
                return;
            }
            if key == self.name.as_ptr() {
                self.place = before;
                return;
            }
        }
    }

    fn value<'py>(&self, values: &Bound<'py, PyDict>) -> PyResult<Bound<'py, PyAny>> {
        let found = values.get_item(&self.name)?;
        found.ok_or_else(|| PyKeyError::new_err(self.name.clone_ref(values.py())))
    }

    /// Looks at what the field holds, which has changed or is not at its place.
    fn look_again(&mut self, looks: &Looks, values: &Bound<'_, PyDict>) -> PyResult<()> {
        let value = self.value(values)?;
        if value.as_ptr() != self.at_its_place(values) {
            self.find_place(values);
            if is(self.held.as_ref(), &value) && !self.has_changed(looks, values.py())? {
                return Ok(());
            }
        }
        self.look(looks, values, value)
    }

    /// Looks at every part, whatever was known of it.
    fn look_at_all(&mut self, looks: &Looks, values: &Bound<'_, PyDict>) -> PyResult<()> {
        let value = self.value(values)?;
        if self.sort == Sort::Log && is(self.held.as_ref(), &value) {
            // A log is looked at from its beginning.
            (self.size, self.last) = (0, None);
            if !self.has_log_changed(looks, &value)? {
                return Ok(());
            }
        }
        if self.settle_here(looks, values, value)? {
            return Ok(());
        }
        let python = self.python.bind(values.py()).clone();
        python.call_method1(intern!(values.py(), "settle_all"), (values,))?;
        self.look_in_python(values)
    }

    /// Whether the parts have changed of the value that the field held, and holds.
    fn has_changed(&mut self, looks: &Looks, py: Python<'_>) -> PyResult<bool> {
        let Some(value) = self.held.as_ref().map(|held| held.bind(py).clone()) else { return Ok(true) };
        match self.sort {
            Sort::Same => Ok(false),
            Sort::Flat => Ok(self.shown.as_ref().is_none_or(|shown| !has_parts_of(&value, shown.bind(py)))),
            Sort::Log => self.has_log_changed(looks, &value),
            Sort::Deep => Ok(!self.settle.bind(py).call1((&value,))?.is(&value)),
        }
    }

    /// A log that has grown by entries without sets is as good as one that has not changed.
    fn has_log_changed(&mut self, looks: &Looks, value: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(log) = &self.log else { return Ok(true) };
        let entries = value.getattr(log.bind(value.py()))?;
        if !is(self.shown.as_ref(), &entries) {
            return Ok(true);
        }
        let Ok(entries) = entries.cast_exact::<PyList>() else { return Ok(true) };
        let size = entries.len();
        if size < self.size {
            return Ok(true);
        }
        if self.size > 0 {
            // SAFETY: an item of a list, compared by its address alone.
            let last = unsafe { ffi::PyList_GetItem(entries.as_ptr(), self.size as isize - 1) };
            if !is_at(self.last.as_ref(), last) {
                return Ok(true);
            }
        }
        for at in self.size..size {
            let entry = entries.get_item(at)?;
            if !looks.is_free(&entry)? {
                return Ok(true);
            }
            (self.size, self.last) = (at + 1, Some(entry.unbind()));
        }
        Ok(false)
    }

    /// Settles what the field holds, and notes with what it is to be compared.
    fn look(
        &mut self,
        looks: &Looks,
        values: &Bound<'_, PyDict>,
        value: Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if self.settle_here(looks, values, value)? { Ok(()) } else { self.look_in_python(values) }
    }

    /// Settles the common kinds of values; false: ask Python.
    fn settle_here(
        &mut self,
        looks: &Looks,
        values: &Bound<'_, PyDict>,
        value: Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        if let Some(shown) = copied(looks, &value)? {
            self.note(Sort::Flat, value, Some(shown));
            return Ok(true);
        }
        if self.log.is_some() {
            return Ok(false);
        }
        if looks.is_settled(&value)? {
            self.note(Sort::Same, value, None);
            return Ok(true);
        }
        let Some(made) = looks.stable(&value)? else { return Ok(false) };
        values.set_item(&self.name, &made)?;
        self.note(Sort::Same, made, None);
        Ok(true)
    }

    fn note(&mut self, sort: Sort, held: Bound<'_, PyAny>, shown: Option<Bound<'_, PyAny>>) {
        (self.sort, self.held, self.shown) = (sort, Some(held.unbind()), shown.map(Bound::unbind));
    }

    fn look_in_python(&mut self, values: &Bound<'_, PyDict>) -> PyResult<()> {
        let python = self.python.bind(values.py()).clone();
        let py = python.py();
        let (held, shown) = python.call_method1(intern!(py, "look"), (values,))?.extract()?;
        let sort = match python.getattr(intern!(py, "sort"))?.extract()? {
            0 => Sort::Same,
            1 => Sort::Flat,
            2 => Sort::Log,
            _ => Sort::Deep,
        };
        if sort == Sort::Log {
            (self.size, self.last) = python.getattr(intern!(py, "end"))?.extract()?;
        }
        self.note(sort, held, Some(shown));
        Ok(())
    }
}

/// True where two lists, or two dicts, hold the same objects in the same order.
fn has_parts_of(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> bool {
    let null = std::ptr::null_mut();
    if let (Ok(one), Ok(other)) = (one.cast_exact::<PyList>(), other.cast_exact::<PyList>()) {
        // SAFETY: both are lists, and no longer than that; items are compared by address alone.
        let item = |list: &Bound<'_, PyList>, at| unsafe { ffi::PyList_GetItem(list.as_ptr(), at) };
        let size = one.len();
        return size == other.len() && (0..size as ffi::Py_ssize_t).all(|at| item(one, at) == item(other, at));
    }
    let (Ok(one), Ok(other)) = (one.cast_exact::<PyDict>(), other.cast_exact::<PyDict>()) else {
        return false;
    };
    if one.len() != other.len() {
        return false;
    }
    let (mut place, mut key, mut value) = (0, null, null);
    let (mut other_place, mut other_key, mut other_value) = (0, null, null);
    loop {
        // SAFETY: both are dicts, which nothing changes meanwhile.
        let (found, other_found) = unsafe {
            (
                ffi::PyDict_Next(one.as_ptr(), &mut place, &mut key, &mut value),
                ffi::PyDict_Next(other.as_ptr(), &mut other_place, &mut other_key, &mut other_value),
            )
        };
        if found == 0 || other_found == 0 {
            return found == other_found;
        }
        if key != other_key || value != other_value {
            return false;
        }
    }
}

/// The copy of a list or a dict whose parts hold no set, and cannot change; None for other values.
fn copied<'py>(looks: &Looks, value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    if let Ok(list) = value.cast_exact::<PyList>() {
        for item in list {
            if !looks.is_free(&item)? {
                return Ok(None);
            }
        }
        // SAFETY: a new list, or null with an error set.
        let made = unsafe { ffi::PyList_GetSlice(list.as_ptr(), 0, ffi::PY_SSIZE_T_MAX) };
        return unsafe { Bound::from_owned_ptr_or_err(value.py(), made) }.map(Some);
    }
    let Ok(dict) = value.cast_exact::<PyDict>() else { return Ok(None) };
    for (key, item) in dict {
        if !looks.is_free(&key)? || !looks.is_free(&item)? {
            return Ok(None);
        }
    }
    Ok(Some(dict.copy()?.into_any()))
}
