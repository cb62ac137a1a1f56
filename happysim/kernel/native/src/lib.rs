//! The native kernel: the search of `happysim/kernel/reference.py`, which specifies it, in Rust.
//!
//! It works on the numbers of `happysim/kernel/contract.py`, and asks Python only for what it has
//! not asked before. See `tables.rs` (what may happen next), `layout.rs` (a world in a few words),
//! `seen.rs` (the worlds met), `ways.rs` (how they were met), `judge.rs` (what was judged) and
//! `search.rs` (the loop). What else is here, for speed alone, is in `codec.rs`, `walk.rs`, and for
//! simulations `settle.rs` and `agenda.rs`.

mod agenda;
mod checkpoint;
mod classes;
mod codec;
mod disk;
mod flat;
mod gather;
mod inbox;
mod judge;
mod layout;
mod memory;
mod mix;
mod orbits;
mod pool;
mod queue;
mod random;
mod search;
mod seen;
mod settle;
mod shared;
mod sleep;
mod spool;
mod store;
mod tables;
mod walk;
mod ways;

use std::path::PathBuf;

use pyo3::exceptions::{PyIndexError, PyMemoryError, PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use layout::Layout;
use checkpoint::Saved;
use orbits::Orbits;
use search::{Exit, Keeper, Plan, Search, Stop, WORLDS_MIN};
use seen::{Fingerprint, OutOfMemory, Whole};
use shared::{Place, Shared};
use store::{Sink, Store};
use tables::{Exports, Tables};
use ways::Ways;

/// The version of the contract that this kernel was built for; see `contract.VERSION`.
const CONTRACT: u32 = 8;

/// Worlds of any width, kept whole (`W`) or as fingerprints (`F`).
macro_rules! worlds {
    ($($words:literal $whole:ident $print:ident),*) => {
        enum Worlds {
            $($whole(Store<$words, Whole<$words>>), $print(Store<$words, Fingerprint>),)*
        }

        impl Worlds {
            fn new(words: usize, prints: bool, near: bool) -> Result<Self, OutOfMemory> {
                Ok(match (words, prints) {
                    $(
                        ($words, false) => Worlds::$whole(Store::new(near)?),
                        ($words, true) => Worlds::$print(Store::new(near)?),
                    )*
                    _ => unreachable!("a layout has one of layout::WORDS"),
                })
            }

            fn sink(&mut self) -> &mut dyn Sink {
                match self {
                    $(Worlds::$whole(store) => store, Worlds::$print(store) => store,)*
                }
            }
        }

        /// Runs the same code for whatever width the worlds have.
        macro_rules! with_store {
            ($worlds:expr, $store:ident => $body:expr) => {
                match $worlds {
                    $(Worlds::$whole($store) => $body, Worlds::$print($store) => $body,)*
                }
            };
        }
    };
}

worlds!(1 W1 F1, 2 W2 F2, 3 W3 F3, 4 W4 F4, 6 W6 F6, 8 W8 F8, 16 W16 F16, 32 W32 F32);

impl Worlds {
    /// The same worlds, packed as another layout says; nothing is left here then.
    fn repacked(&mut self, old: &Layout, new: &Layout, prints: bool, near: bool) -> Result<Self, Stop> {
        let mut made = Worlds::new(new.words, prints, near)?;
        with_store!(self, store => store.pour(old, made.sink(), new)?);
        Ok(made)
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
#[pyclass]
struct Paths {
    place: Place,
    exports: Exports,
    starts: Vec<Vec<u32>>,
    ways: Ways,
    bytes: usize,
}

#[pymethods]
impl Paths {
    /// The worlds from a start to the world at `index`, both included.
    fn path<'py>(&mut self, py: Python<'py>, index: i64) -> PyResult<Vec<Bound<'py, PyTuple>>> {
        if index >= self.ways.count as i64 {
            return Err(PyIndexError::new_err(format!("there is no world {index}")));
        }
        if index < 0 {
            return Ok(Vec::new());
        }
        if !self.ways.kept {
            return Err(PyValueError::new_err("this search kept no way to its worlds"));
        }
        let mut back = self.ways.back_from(index as usize)?;
        let mut world = self.starts[back.pop().unwrap_or(0) as usize].clone();
        let mut steps = Vec::new();
        loop {
            let mut told = world.clone();
            self.exports.world(py, &self.place.tables, &mut told)?;
            steps.push(PyTuple::new(py, &told)?);
            let Some(step) = back.pop() else { return Ok(steps) };
            world = self.after(py, world, step as usize)?;
        }
    }

    /// Bytes that the worlds, the table to find them and the way to them take.
    #[getter]
    fn bytes(&self) -> usize {
        self.ways.bytes() + self.bytes
    }

    /// 64-bit words that a world takes.
    #[getter]
    fn words(&self) -> usize {
        self.place.layout.words
    }
}

impl Paths {
    /// The world after the step of that number, counted as `gather` does.
    fn after(&mut self, py: Python<'_>, world: Vec<u32>, step: usize) -> PyResult<Vec<u32>> {
        let mut worlds = Worlds::new(self.place.layout.words, false, false)
            .map_err(|_| PyMemoryError::new_err("no memory to find the way to a world"))?;
        with_store!(&mut worlds, store => {
            let mut batch = gather::Batch::new();
            let key = self.place.layout.pack(&world);
            loop {
                batch.clear();
                let ground = self.place.ground(Some(&store.seen), judge::Quiet::NEVER);
                let Err(miss) = batch.gather(ground, &key, sleep::NOBODY) else { break };
                // What was missing then lies behind the step. What was known before a checkpoint may
                // be missing now, and of processes that slept not every look-up has been made.
                if batch.nexts.len() > step {
                    break;
                }
                if let Err(question) = self.place.tables.settle(miss) {
                    self.place.tables.ask(py, question)?;
                }
            }
            let (layout, mut numbers) = (&self.place.layout, Vec::new());
            let next = batch.nexts.get(step);
            let next = next.ok_or_else(|| PyIndexError::new_err("a world has lost its way"))?;
            layout.unpack(&next.key, &mut numbers);
            Ok(numbers)
        })
    }
}

/// Visits worlds until the search ends, packing them anew where a number outgrows its field.
fn drive(search: &mut Search, shared: &mut Shared, mut worlds: Worlds) -> (Worlds, Result<(), Stop>) {
    loop {
        let ended = with_store!(&mut worlds, store => search.run(shared, store));
        match ended {
            Err(stop) => return (worlds, Err(stop)),
            Ok(Exit::Finished) => return (worlds, Ok(())),
            Ok(Exit::Outgrown) => {}
        }
        let place = shared.get_mut();
        let layout = match layout_of(&place.tables.largest) {
            Ok(layout) => layout,
            Err(error) => return (worlds, Err(error.into())),
        };
        let prints = search.plan.fingerprints;
        match worlds.repacked(&place.layout, &layout, prints, search.plan.cut()) {
            Ok(repacked) => worlds = repacked,
            Err(stop) => {
                // Some of the worlds are gone: an older checkpoint has more to say.
                search.plan.keeper = None;
                return (worlds, Err(stop));
            }
        }
        place.layout = layout;
    }
}

/// Why a search could not even begin.
fn refusal(stop: Stop) -> PyErr {
    match stop {
        Stop::Python(error) => error,
        Stop::Memory => PyMemoryError::new_err("no memory to begin a search"),
        // A file that ends too early is not what its checksum says.
        Stop::Disk(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => checkpoint::unfit(),
        Stop::Disk(error) => error.into(),
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
        fingerprints: plan.getattr("fingerprints")?.is_truthy()?,
        disk: match plan.getattr("disk")?.extract::<Option<PathBuf>>()? {
            Some(folder) => Some((folder, plan.getattr("spill_bytes")?.extract()?)),
            None => None,
        },
        keeper: match plan.getattr("keeper")? {
            keeper if keeper.is_none() => None,
            keeper => Some(Keeper {
                path: keeper.getattr("path")?.extract()?,
                every: keeper.getattr("every")?.extract()?,
                object: keeper.unbind(),
            }),
        },
        threads: threads.unwrap_or(processors).max(1),
        threads_from: if threads.is_some() { 2 } else { WORLDS_MIN },
    })
}

/// Visit every world that can be reached from `starts`, once each; as `reference.explore`.
#[pyfunction]
#[pyo3(signature = (model, starts, judge, plan=None, progress=None))]
fn explore<'py>(
    py: Python<'py>,
    model: Bound<'py, PyAny>,
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

    let symmetric = plan.getattr("symmetric")?.is_truthy()?;
    let mut orbits = if symmetric { Some(Orbits::new(&model, slots)?) } else { None };
    let mut tables = Tables::new(model, slots, partitions, histories)?;
    let mut packed = Vec::new();
    for mut start in starts {
        if !histories {
            start[slots + 1] = 0;
        }
        let start: Vec<u32> = start.into_iter().map(u32::try_from).collect::<Result<_, _>>()?;
        packed.push(tables.import(py, &start)?);
    }
    for start in &packed {
        if let Some(orbits) = &mut orbits {
            orbits.look(&mut tables, start)?;
        }
    }
    let layout = layout_of(&tables.largest)?;
    let mut place = Shared::new(Place::new(tables, layout));
    let ways = Ways::new(plan.getattr("traces")?.is_truthy()?);
    let mut saved = match plan.getattr("resume")?.extract::<Option<(PathBuf, u64)>>()? {
        None => None,
        Some((path, start)) => Some(Saved::open(&path, start)?),
    };
    if let Some(saved) = &mut saved {
        saved.place(py, place.get_mut()).map_err(refusal)?;
    }
    let plan = plan_of(&plan)?;
    let no_memory = |_| PyMemoryError::new_err("no memory to begin a search");
    let worlds = Worlds::new(place.get_mut().layout.words, plan.fingerprints, plan.cut()).map_err(no_memory)?;
    let told = found.clone().unbind();
    let exports = Exports::new(py, &place.get_mut().tables);
    let mut search = Search::new(exports, plan, ways, orbits, judge, progress, told)?;

    let (mut worlds, ended) = py.detach(|| {
        let mut worlds = worlds;
        let began = with_store!(&mut worlds, store => match &mut saved {
            Some(saved) => saved.search(&mut search, place.get_mut(), store),
            None => search.start(&place, store, &packed),
        });
        match began {
            // Before the first step there is nothing to keep.
            Err(stop) => (worlds, Err((stop, true))),
            Ok(()) => {
                let (worlds, ended) = drive(&mut search, &mut place, worlds);
                (worlds, ended.map_err(|stop| (stop, false)))
            }
        }
    });
    match ended {
        Ok(()) => {}
        Err((stop, true)) => return Err(refusal(stop)),
        Err((stop, _)) => search.end_early(py, stop)?,
    }
    let bytes = with_store!(&mut worlds, store => {
        if let Err(stop) = search.look_beyond(place.get_mut(), store) {
            search.end_early(py, stop)?;
        }
        search.tell(py, search.waiting(store))?;
        if matches!(search.stopped, Some("interrupt" | "seconds" | "memory" | "disk full" | "disk")) {
            search.keep(place.get_mut(), store, true)?;
        }
        store.bytes() + search.sleeping.bytes_max()
    });
    drop(worlds);
    if search.plan.fingerprints {
        found.setattr("fingerprint_bits", 64)?;
    }
    if let Some(orbits) = &search.orbits {
        found.setattr("in_full", orbits.in_full)?;
    }
    let Search { exports, ways, .. } = search;
    let paths = Paths { place: place.into_inner(), exports, starts: packed, ways, bytes };
    found.setattr("path", Bound::new(py, paths)?.getattr("path")?)?;
    Ok(found)
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("name", "native")?;
    module.add("CONTRACT", CONTRACT)?;
    module.add_function(wrap_pyfunction!(explore, module)?)?;
    module.add_class::<Paths>()?;
    module.add_class::<codec::Codec>()?;
    module.add_class::<agenda::Queue>()?;
    module.add_class::<settle::Looks>()?;
    module.add_class::<settle::Settling>()?;
    module.add_class::<walk::Walks>()
}
