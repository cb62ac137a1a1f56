//! Freezing and thawing of the common kinds of values, as `happysim/core/freeze.py` does it.
//!
//! What is here is fast, and the rest is left to Python: `freeze` and `thaw` return NotImplemented
//! where a value holds anything that they do not know, or that is to be refused with an error, and
//! `describe` has Python tell such a part. So the rules, and what is said where one is broken, stand
//! in one place.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};

use crate::classes::Classes;

/// Values nested deeper, and values with more mutable parts, are left to Python.
const DEPTH_MAX: u32 = 100;
const ENTERED_MAX: usize = 64;

/// Not known here.
enum Pass {
    ToPython,
}

impl From<PyErr> for Pass {
    /// Python goes the same way again, and raises what there is to raise.
    fn from(_: PyErr) -> Self {
        Pass::ToPython
    }
}

impl<'a, 'py> From<pyo3::CastError<'a, 'py>> for Pass {
    fn from(_: pyo3::CastError<'a, 'py>) -> Self {
        Pass::ToPython
    }
}

type Done<T> = Result<T, Pass>;

/// How values of one class are frozen and thawed.
enum Kind {
    Atom,
    Bool,
    Float,
    Tuple,
    List,
    Dict,
    Set,
    FrozenSet,
    /// A dataclass: its fields, how many of them lie in a `__dict__`, and whether it can change.
    Fields { names: Vec<Py<PyString>>, held: usize, mutable: bool },
    NamedTuple,
    Enum,
    Deque,
    /// It has `__freeze__` and `__thaw__`.
    Hooked,
    Unknown,
}

struct Known {
    kind: Kind,
    name: String,
}

#[pyclass(frozen)]
pub struct Codec {
    known: Classes<Known>,
    plan: Py<PyAny>,
    describe: Py<PyAny>,
    set: Py<PyAny>,
    frozenset: Py<PyAny>,
    stable_set: Py<PyAny>,
    stable_frozenset: Py<PyAny>,
    each_of_set: Py<PyAny>,
    each_of_frozenset: Py<PyAny>,
}

/// The mutable values entered so far, by address.
type Entered = Vec<usize>;

fn class_of<'py>(value: &Bound<'py, PyAny>) -> usize {
    value.get_type_ptr() as usize
}

fn enter(value: &Bound<'_, PyAny>, entered: &mut Entered) -> Done<()> {
    let at = value.as_ptr() as usize;
    if entered.len() == ENTERED_MAX || entered.contains(&at) {
        return Err(Pass::ToPython);
    }
    entered.push(at);
    Ok(())
}

#[pymethods]
impl Codec {
    /// `plan(kind)` tells of a class what `Kind` says; `describe` is `in_python` of `describe.py`, and
    /// the two classes are those that sets are thawed as.
    #[new]
    fn new(
        py: Python<'_>,
        plan: Py<PyAny>,
        describe: Py<PyAny>,
        stable_set: Py<PyAny>,
        stable_frozenset: Py<PyAny>,
    ) -> PyResult<Self> {
        let builtins = py.import("builtins")?;
        let (set, frozenset) = (builtins.getattr("set")?, builtins.getattr("frozenset")?);
        Ok(Codec {
            known: Classes::default(),
            plan,
            describe,
            stable_set,
            stable_frozenset,
            each_of_set: set.getattr("__iter__")?.unbind(),
            each_of_frozenset: frozenset.getattr("__iter__")?.unbind(),
            set: set.unbind(),
            frozenset: frozenset.unbind(),
        })
    }

    /// Asks anew about every class.
    fn forget(&self) {
        self.known.forget();
    }

    /// The content of a value; NotImplemented: ask Python.
    fn freeze<'py>(&self, value: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        let made = self.frozen(value, &mut Entered::new(), DEPTH_MAX);
        made.unwrap_or_else(|_| value.py().NotImplemented().into_bound(value.py()))
    }

    /// The contents of those attributes, none of which may share a part with another.
    fn freeze_fields<'py>(
        &self,
        values: &Bound<'py, PyDict>,
        names: &Bound<'py, PyTuple>,
    ) -> Bound<'py, PyAny> {
        let py = values.py();
        let made = (|| -> Done<_> {
            let (mut entered, mut fields) = (Entered::new(), Vec::with_capacity(names.len()));
            for name in names.iter_borrowed() {
                let value = values.get_item(name)?.ok_or(Pass::ToPython)?;
                fields.push(self.frozen(&value, &mut entered, DEPTH_MAX)?);
            }
            Ok(PyTuple::new(py, fields)?.into_any())
        })();
        made.unwrap_or_else(|_| py.NotImplemented().into_bound(py))
    }

    /// True where `freeze_fields` would not ask Python: all of it has content.
    fn can_freeze_fields(&self, values: &Bound<'_, PyDict>, names: &Bound<'_, PyTuple>) -> bool {
        let mut entered = Entered::new();
        names.iter_borrowed().all(|name| match values.get_item(name) {
            Ok(Some(value)) => self.check(&value, &mut entered, DEPTH_MAX).is_ok(),
            _ => false,
        })
    }

    /// A fresh value with that content; NotImplemented: ask Python.
    fn thaw<'py>(&self, frozen: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        let made = self.thawed(frozen, DEPTH_MAX);
        made.unwrap_or_else(|_| frozen.py().NotImplemented().into_bound(frozen.py()))
    }

    /// A frozen value as text, as `describe.py` tells it.
    fn describe(&self, frozen: &Bound<'_, PyAny>) -> PyResult<String> {
        self.text(frozen)
    }

    /// Sets attributes to fresh values with those contents; false: ask Python.
    fn thaw_fields(
        &self,
        values: &Bound<'_, PyDict>,
        names: &Bound<'_, PyTuple>,
        fields: &Bound<'_, PyTuple>,
    ) -> PyResult<bool> {
        if names.len() != fields.len() {
            return Err(PyValueError::new_err("there is a content for each field"));
        }
        for (name, frozen) in names.iter_borrowed().zip(fields.iter_borrowed()) {
            let Ok(made) = self.thawed(&frozen, DEPTH_MAX) else { return Ok(false) };
            values.set_item(name, made)?;
        }
        Ok(true)
    }
}

impl Codec {
    fn known(&self, class: &Bound<'_, PyAny>) -> PyResult<Arc<Known>> {
        self.known.get(class, || {
            let name = class.getattr(intern!(class.py(), "__name__")).and_then(|name| name.extract());
            Ok(Known { kind: self.planned(class)?, name: name.unwrap_or_default() })
        })
    }

    fn planned(&self, class: &Bound<'_, PyAny>) -> PyResult<Kind> {
        let py = class.py();
        let said = self.plan.bind(py).call1((class,))?;
        let (word, names, held, mutable): (String, Vec<Py<PyString>>, usize, bool) = said.extract()?;
        Ok(match word.as_str() {
            "atom" => Kind::Atom,
            "bool" => Kind::Bool,
            "float" => Kind::Float,
            "deque" => Kind::Deque,
            "hooked" => Kind::Hooked,
            "tuple" => Kind::Tuple,
            "list" => Kind::List,
            "dict" => Kind::Dict,
            "set" => Kind::Set,
            "frozenset" => Kind::FrozenSet,
            "fields" => Kind::Fields { names, held, mutable },
            "named tuple" => Kind::NamedTuple,
            "enum" => Kind::Enum,
            _ => Kind::Unknown,
        })
    }

    fn frozen<'py>(
        &self,
        value: &Bound<'py, PyAny>,
        entered: &mut Entered,
        depth: u32,
    ) -> Done<Bound<'py, PyAny>> {
        let atoms = [&raw mut ffi::PyUnicode_Type as usize, &raw mut ffi::PyLong_Type as usize];
        if atoms.contains(&class_of(value)) || value.is_none() {
            return Ok(value.clone());
        }
        let depth = depth.checked_sub(1).ok_or(Pass::ToPython)?;
        let (py, class) = (value.py(), value.get_type());
        let known = self.known(&class)?;
        let mut made: Vec<Bound<'py, PyAny>> = Vec::with_capacity(8);
        match &known.kind {
            Kind::Atom => return Ok(value.clone()),
            Kind::Bool => made.extend([class.into_any(), value.clone()]),
            Kind::Tuple | Kind::NamedTuple => {
                made.push(class.into_any());
                // SAFETY: the class is `tuple` or derives from it.
                for item in unsafe { value.cast_unchecked::<PyTuple>() }.iter_borrowed() {
                    made.push(self.frozen(&item, entered, depth)?);
                }
            }
            Kind::List => {
                enter(value, entered)?;
                made.push(class.into_any());
                for item in value.cast_exact::<PyList>()?.iter() {
                    made.push(self.frozen(&item, entered, depth)?);
                }
            }
            Kind::Dict => {
                enter(value, entered)?;
                made.push(class.into_any());
                for (key, item) in value.cast_exact::<PyDict>()?.iter() {
                    made.push(self.frozen(&key, entered, depth)?);
                    made.push(self.frozen(&item, entered, depth)?);
                }
            }
            Kind::Set => {
                enter(value, entered)?;
                made.push(self.set.bind(py).clone());
                self.elements(self.each_of_set.bind(py).call1((value,))?, entered, depth, &mut made)?;
            }
            Kind::FrozenSet => {
                made.push(self.frozenset.bind(py).clone());
                self.elements(self.each_of_frozenset.bind(py).call1((value,))?, entered, depth, &mut made)?;
            }
            Kind::Fields { names, held, mutable } => {
                if *mutable {
                    enter(value, entered)?;
                }
                if *held > 0 {
                    let own = value.getattr(intern!(py, "__dict__"))?;
                    if own.cast::<PyDict>()?.len() != *held {
                        return Err(Pass::ToPython);
                    }
                }
                made.push(class.into_any());
                for name in names {
                    made.push(self.frozen(&value.getattr(name.bind(py))?, entered, depth)?);
                }
            }
            Kind::Enum => made.extend([class.into_any(), value.getattr(intern!(py, "name"))?]),
            Kind::Float => made.extend([class.into_any(), value.call_method0(intern!(py, "hex"))?]),
            Kind::Deque => {
                enter(value, entered)?;
                made.extend([class.into_any(), value.getattr(intern!(py, "maxlen"))?]);
                for item in value.try_iter()? {
                    made.push(self.frozen(&item?, entered, depth)?);
                }
            }
            Kind::Hooked => {
                enter(value, entered)?;
                let plain = value.call_method0(intern!(py, "__freeze__"))?;
                made.extend([class.into_any(), self.frozen(&plain, &mut Entered::new(), depth)?]);
            }
            Kind::Unknown => return Err(Pass::ToPython),
        }
        Ok(PyTuple::new(py, made)?.into_any())
    }

    /// Goes where `frozen` goes, and makes nothing.
    fn check(&self, value: &Bound<'_, PyAny>, entered: &mut Entered, depth: u32) -> Done<()> {
        let atoms = [&raw mut ffi::PyUnicode_Type as usize, &raw mut ffi::PyLong_Type as usize];
        if atoms.contains(&class_of(value)) || value.is_none() {
            return Ok(());
        }
        let depth = depth.checked_sub(1).ok_or(Pass::ToPython)?;
        let (py, class) = (value.py(), value.get_type());
        let known = self.known(&class)?;
        match &known.kind {
            Kind::Atom | Kind::Bool | Kind::Float => {}
            Kind::Tuple | Kind::NamedTuple => {
                // SAFETY: the class is `tuple` or derives from it.
                for item in unsafe { value.cast_unchecked::<PyTuple>() }.iter_borrowed() {
                    self.check(&item, entered, depth)?;
                }
            }
            Kind::List => {
                enter(value, entered)?;
                for item in value.cast_exact::<PyList>()?.iter() {
                    self.check(&item, entered, depth)?;
                }
            }
            Kind::Dict => {
                enter(value, entered)?;
                for (key, item) in value.cast_exact::<PyDict>()?.iter() {
                    self.check(&key, entered, depth)?;
                    self.check(&item, entered, depth)?;
                }
            }
            Kind::Fields { names, held, mutable } => {
                if *mutable {
                    enter(value, entered)?;
                }
                if *held > 0 && value.getattr(intern!(py, "__dict__"))?.cast::<PyDict>()?.len() != *held {
                    return Err(Pass::ToPython);
                }
                for name in names {
                    self.check(&value.getattr(name.bind(py))?, entered, depth)?;
                }
            }
            // These are few, or have to be made to see that they can be.
            _ => {
                self.frozen(value, entered, depth + 1)?;
            }
        }
        Ok(())
    }

    /// The contents of a set, in their order, after what is in `made`.
    fn elements<'py>(
        &self,
        each: Bound<'py, PyAny>,
        entered: &mut Entered,
        depth: u32,
        made: &mut Vec<Bound<'py, PyAny>>,
    ) -> Done<()> {
        let mut found = Vec::new();
        for element in each.try_iter()? {
            found.push(self.frozen(&element?, entered, depth)?);
        }
        if found.len() > 1 {
            let mut told = Vec::with_capacity(found.len());
            for frozen in found {
                told.push((self.text(&frozen)?, frozen));
            }
            // Python compares text by code point, and so do the bytes of UTF-8.
            told.sort_by(|one, other| one.0.cmp(&other.0));
            found = told.into_iter().map(|(_, frozen)| frozen).collect();
        }
        made.append(&mut found);
        Ok(())
    }

    /// As `describe` of `describe.py`.
    fn text(&self, frozen: &Bound<'_, PyAny>) -> PyResult<String> {
        let mut told = String::new();
        self.tell(frozen, DEPTH_MAX, &mut told)?;
        Ok(told)
    }

    /// Adds a frozen value as text; what is not known here Python tells.
    fn tell(&self, frozen: &Bound<'_, PyAny>, depth: u32, into: &mut String) -> PyResult<()> {
        if class_of(frozen) != &raw mut ffi::PyTuple_Type as usize {
            return atom(frozen, into);
        }
        // SAFETY: its class is `tuple`.
        let parts = unsafe { frozen.cast_unchecked::<PyTuple>() };
        let known = self.known(&parts.get_item(0)?)?;
        let count = parts.len() - 1;
        let (open, close) = match &known.kind {
            Kind::Bool => return atom(&parts.get_item(1)?, into),
            _ if depth == 0 => return self.told_in_python(frozen, into),
            Kind::List => ("[", "]"),
            Kind::Tuple if count == 1 => ("(", ",)"),
            Kind::Tuple => ("(", ")"),
            Kind::Set if count == 0 => ("set(", ")"),
            Kind::FrozenSet if count == 0 => ("frozenset(", ")"),
            Kind::Set | Kind::Dict => ("{", "}"),
            Kind::FrozenSet => ("frozenset({", "})"),
            Kind::Fields { names, .. } if names.len() == count => {
                into.push_str(&known.name);
                ("(", ")")
            }
            _ => return self.told_in_python(frozen, into),
        };
        into.push_str(open);
        for (at, part) in parts.iter_borrowed().skip(1).enumerate() {
            match &known.kind {
                Kind::Dict if at % 2 == 1 => into.push_str(": "),
                _ if at > 0 => into.push_str(", "),
                _ => {}
            }
            if let Kind::Fields { names, .. } = &known.kind {
                into.push_str(names[at].bind(frozen.py()).to_str()?);
                into.push('=');
            }
            self.tell(&part, depth - 1, into)?;
        }
        into.push_str(close);
        Ok(())
    }

    fn told_in_python(&self, frozen: &Bound<'_, PyAny>, into: &mut String) -> PyResult<()> {
        let told = self.describe.bind(frozen.py()).call1((frozen,))?;
        into.push_str(told.cast::<PyString>()?.to_str()?);
        Ok(())
    }

    fn thawed<'py>(&self, frozen: &Bound<'py, PyAny>, depth: u32) -> Done<Bound<'py, PyAny>> {
        if class_of(frozen) != &raw mut ffi::PyTuple_Type as usize {
            return Ok(frozen.clone());
        }
        let depth = depth.checked_sub(1).ok_or(Pass::ToPython)?;
        // SAFETY: its class is `tuple`.
        let frozen = unsafe { frozen.cast_unchecked::<PyTuple>() };
        let (py, class) = (frozen.py(), frozen.get_item(0)?);
        let known = self.known(&class)?;
        let items = || frozen.iter_borrowed().skip(1);
        let all = || items().map(|item| self.thawed(&item, depth)).collect::<Done<Vec<_>>>();
        Ok(match &known.kind {
            Kind::Bool => frozen.get_item(1)?,
            Kind::Tuple => PyTuple::new(py, all()?)?.into_any(),
            Kind::List => PyList::new(py, all()?)?.into_any(),
            Kind::Dict => {
                let (made, mut each) = (PyDict::new(py), items());
                while let (Some(key), Some(item)) = (each.next(), each.next()) {
                    made.set_item(self.thawed(&key, depth)?, self.thawed(&item, depth)?)?;
                }
                made.into_any()
            }
            Kind::Set => self.stable_set.bind(py).call1((PyList::new(py, all()?)?,))?,
            Kind::FrozenSet => self.stable_frozenset.bind(py).call1((PyList::new(py, all()?)?,))?,
            Kind::NamedTuple => class.call1(PyTuple::new(py, all()?)?)?,
            Kind::Fields { names, .. } => {
                let class = class.cast::<PyType>()?;
                // SAFETY: a new object of a class that was defined in Python, as `object.__new__`
                // makes it; or null with an error set.
                let made = unsafe {
                    Bound::from_owned_ptr_or_err(py, ffi::PyType_GenericAlloc(class.as_type_ptr(), 0))
                }?;
                if names.len() + 1 != frozen.len() {
                    return Err(Pass::ToPython);
                }
                for (name, item) in names.iter().zip(items()) {
                    let item = self.thawed(&item, depth)?;
                    // SAFETY: as `object.__setattr__`; the three are alive.
                    let set = unsafe {
                        ffi::PyObject_GenericSetAttr(made.as_ptr(), name.as_ptr(), item.as_ptr())
                    };
                    if set != 0 {
                        return Err(PyErr::fetch(py).into());
                    }
                }
                made
            }
            Kind::Enum => class.get_item(frozen.get_item(1)?)?,
            Kind::Float => class.call_method1(intern!(py, "fromhex"), (frozen.get_item(1)?,))?,
            Kind::Deque => {
                let made = items().skip(1).map(|item| self.thawed(&item, depth)).collect::<Done<Vec<_>>>()?;
                class.call1((PyList::new(py, made)?, frozen.get_item(1)?))?
            }
            Kind::Hooked => {
                let plain = self.thawed(&frozen.get_item(1)?, depth)?;
                class.call_method1(intern!(py, "__thaw__"), (plain,))?
            }
            Kind::Atom | Kind::Unknown => return Err(Pass::ToPython),
        })
    }
}

/// Adds what is no tuple as text, as `ascii` does.
fn atom(value: &Bound<'_, PyAny>, into: &mut String) -> PyResult<()> {
    if class_of(value) == &raw mut ffi::PyUnicode_Type as usize {
        // SAFETY: its class is `str`.
        let text = unsafe { value.cast_unchecked::<PyString>() }.to_str();
        let plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'\'' && byte != b'\\';
        // A text with half of a surrogate pair is no UTF-8.
        if let Some(text) = text.ok().filter(|text| text.bytes().all(plain)) {
            into.push('\'');
            into.push_str(text);
            into.push('\'');
            return Ok(());
        }
    }
    // SAFETY: a new reference to text, or null with an error set.
    let told = unsafe { Bound::from_owned_ptr_or_err(value.py(), ffi::PyObject_ASCII(value.as_ptr())) }?;
    into.push_str(told.cast::<PyString>()?.to_str()?);
    Ok(())
}
