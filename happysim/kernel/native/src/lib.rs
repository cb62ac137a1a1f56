//! The native kernel: the search of `happysim/kernel/reference.py`, which specifies it, in Rust.
//!
//! It works on the numbers of `happysim/kernel/contract.py`, and asks Python only for what it has
//! not asked before. See `tables.rs` (what may happen next), `layout.rs` (a world in a few words),
//! `store.rs` (the worlds met), `judge.rs` (what was judged) and `search.rs` (the loop).

mod ahead;
mod flat;
mod gather;
mod judge;
mod layout;
mod memory;
mod search;
mod store;
mod tables;

use pyo3::exceptions::{PyIndexError, PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use layout::Layout;
use search::{Exit, Plan, Search, Stop};
use store::{Store, NO_PARENT};
use tables::Tables;

/// The version of the contract that this kernel was built for; see `contract.VERSION`.
const CONTRACT: u32 = 3;

/// Worlds of any width.
enum Worlds {
    One(Store<1>),
    Two(Store<2>),
    Three(Store<3>),
    Four(Store<4>),
    Six(Store<6>),
    Eight(Store<8>),
    Sixteen(Store<16>),
    ThirtyTwo(Store<32>),
}

/// Runs the same code for whatever width the worlds have.
macro_rules! with_store {
    ($worlds:expr, $store:ident => $body:expr) => {
        match $worlds {
            Worlds::One($store) => $body,
            Worlds::Two($store) => $body,
            Worlds::Three($store) => $body,
            Worlds::Four($store) => $body,
            Worlds::Six($store) => $body,
            Worlds::Eight($store) => $body,
            Worlds::Sixteen($store) => $body,
            Worlds::ThirtyTwo($store) => $body,
        }
    };
}

impl Worlds {
    fn new(words: usize) -> Self {
        match words {
            1 => Worlds::One(Store::new()),
            2 => Worlds::Two(Store::new()),
            3 => Worlds::Three(Store::new()),
            4 => Worlds::Four(Store::new()),
            6 => Worlds::Six(Store::new()),
            8 => Worlds::Eight(Store::new()),
            16 => Worlds::Sixteen(Store::new()),
            _ => Worlds::ThirtyTwo(Store::new()),
        }
    }

    fn repacked(&mut self, old: &Layout, new: &Layout) -> Result<Worlds, Stop> {
        Ok(with_store!(self, store => match new.words {
            1 => Worlds::One(store.repacked(old, new)?),
            2 => Worlds::Two(store.repacked(old, new)?),
            3 => Worlds::Three(store.repacked(old, new)?),
            4 => Worlds::Four(store.repacked(old, new)?),
            6 => Worlds::Six(store.repacked(old, new)?),
            8 => Worlds::Eight(store.repacked(old, new)?),
            16 => Worlds::Sixteen(store.repacked(old, new)?),
            _ => Worlds::ThirtyTwo(store.repacked(old, new)?),
        }))
    }
}

fn layout_of(largest: &[u32]) -> PyResult<Layout> {
    Layout::of(largest).ok_or_else(|| {
        PyOverflowError::new_err(
            "a world of so many processes is too wide for the native kernel; \
             set HAPPYSIM_KERNEL=reference",
        )
    })
}

/// The way to each world that a search has met.
#[pyclass(frozen)]
struct Paths {
    worlds: Worlds,
    layout: Layout,
    parents: Vec<u32>,
}

#[pymethods]
impl Paths {
    /// The worlds from a start to the world at `index`, both included.
    fn path<'py>(&self, py: Python<'py>, index: i64) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        if index >= self.parents.len() as i64 {
            return Err(PyIndexError::new_err(format!("there is no world {index}")));
        }
        let mut steps = Vec::new();
        let mut at = if index < 0 { NO_PARENT } else { index as u32 };
        let mut numbers = Vec::new();
        while at != NO_PARENT {
            with_store!(&self.worlds, store => {
                self.layout.unpack(&store.keys[at as usize], &mut numbers);
            });
            steps.push(PyTuple::new(py, &numbers)?);
            at = self.parents[at as usize];
        }
        steps.reverse();
        Ok(steps)
    }

    /// Bytes that the worlds, the table to find them and the way to them take.
    #[getter]
    fn bytes(&self) -> usize {
        self.parents.capacity() * 4 + with_store!(&self.worlds, store => store.bytes())
    }

    /// 64-bit words that a world takes.
    #[getter]
    fn words(&self) -> usize {
        self.layout.words
    }
}

/// Visits worlds until the search ends, packing them anew where a number outgrows its field.
fn drive(search: &mut Search, mut worlds: Worlds) -> (Worlds, Result<(), Stop>) {
    loop {
        let ended = with_store!(&mut worlds, store => search.run(store));
        match ended {
            Err(stop) => return (worlds, Err(stop)),
            Ok(Exit::Finished) => return (worlds, Ok(())),
            Ok(Exit::Outgrown) => {}
        }
        let layout = match layout_of(&search.tables.largest) {
            Ok(layout) => layout,
            Err(error) => return (worlds, Err(error.into())),
        };
        match worlds.repacked(&search.layout, &layout) {
            Ok(repacked) => worlds = repacked,
            Err(stop) => return (worlds, Err(stop)),
        }
        search.layout = layout;
    }
}

fn plan_of(plan: &Bound<'_, PyAny>) -> PyResult<Plan> {
    let threads = plan.getattr("threads")?.extract::<Option<usize>>()?;
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get());
    Ok(Plan {
        depth_first: plan.getattr("depth_first")?.is_truthy()?,
        // Beyond what a depth or a number of worlds can be here, there is no limit.
        depth: plan.getattr("depth")?.extract::<Option<u32>>().unwrap_or(None),
        worlds: plan.getattr("worlds")?.extract::<Option<u64>>().unwrap_or(None),
        seconds: plan.getattr("seconds")?.extract()?,
        memory_mib: plan.getattr("memory_mib")?.extract()?,
        threads: threads.unwrap_or(processors).max(1),
        threads_from: if threads.is_some() { 2 } else { ahead::WORLDS_MIN },
    })
}

/// Visit every world that can be reached from `starts`, once each; as `reference.explore`.
#[pyfunction]
#[pyo3(signature = (model, starts, judge, plan=None, progress=None))]
fn explore<'py>(
    py: Python<'py>,
    model: Py<PyAny>,
    starts: Vec<Vec<i64>>,
    judge: &Bound<'py, PyAny>,
    plan: Option<Bound<'py, PyAny>>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let contract = py.import(intern!(py, "happysim.kernel.contract"))?;
    let plan = plan.map_or_else(|| contract.getattr("Plan")?.call0(), Ok)?;
    let histories = plan.getattr("histories")?.is_truthy()?;
    let partitions = plan.getattr("partitions")?.is_truthy()?;
    let found = contract.getattr("Exploration")?.call0()?;
    let slots = starts.first().map_or(0, Vec::len).checked_sub(2);
    let slots = slots.ok_or_else(|| PyValueError::new_err("a search needs a first world"))?;

    let mut tables = Tables::new(model, slots, partitions, histories);
    let mut packed = Vec::new();
    for mut start in starts {
        if !histories {
            start[slots + 1] = 0;
        }
        let start: Vec<u32> = start.into_iter().map(u32::try_from).collect::<Result<_, _>>()?;
        for (most, &number) in tables.largest.iter_mut().zip(&start) {
            *most = (*most).max(number);
        }
        packed.push(start);
    }
    let layout = layout_of(&tables.largest)?;
    let worlds = Worlds::new(layout.words);
    let mut search =
        Search::new(tables, layout, plan_of(&plan)?, judge, progress, found.clone().unbind())?;

    let (mut worlds, ended) = py.detach(|| {
        let mut worlds = worlds;
        match with_store!(&mut worlds, store => search.start(store, &packed)) {
            // Before the first step there is nothing to keep.
            Err(stop) => (worlds, Err((stop, true))),
            Ok(()) => {
                let (worlds, ended) = drive(&mut search, worlds);
                (worlds, ended.map_err(|stop| (stop, false)))
            }
        }
    });
    match ended {
        Ok(()) => {}
        Err((Stop::Python(error), true)) => return Err(error),
        Err((stop, _)) => search.end_early(py, stop)?,
    }
    with_store!(&mut worlds, store => {
        match search.look_beyond(store) {
            Ok(_) => {}
            Err(stop) => search.end_early(py, stop)?,
        }
        search.tell(py, store.keys.len(), search.waiting_now(store))?;
    });
    let paths = Paths { worlds, layout: search.layout, parents: search.parents };
    found.setattr("path", Bound::new(py, paths)?.getattr("path")?)?;
    Ok(found)
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("name", "native")?;
    module.add("CONTRACT", CONTRACT)?;
    module.add_function(wrap_pyfunction!(explore, module)?)?;
    module.add_class::<Paths>()
}
