//! The state of a search breadth first in a file, and back.
//!
//! The file begins with a line that says its version and a text of the caller's (`contract.Keeper`),
//! and ends with a checksum over all of it; `happysim/search/checkpoint.py` reads these. Between
//! them: the layout, the cells by their content, the counts, the ways, the worlds met, those that
//! wait. What was asked of the model is not there: it is asked again, and has the same numbers.
//! A file is written under another name first, so that the older one is there until this is whole.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use pyo3::exceptions::PyIndexError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::layout::{Field, Layout};
use crate::search::{Search, Stop};
use crate::shared::Place;
use crate::seen::Entry;
use crate::store::Store;
use crate::ways::BYTES;

pub const FIRST_LINE: &[u8] = b"happysim checkpoint 1\n";
const BUFFER: usize = 1 << 20;
/// Between two looks at how much memory what was read takes.
const RECORDS_A_LOOK: u64 = 1 << 12;

/// The checksum of zlib, bit by bit as tables.
const fn crc_table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut word, mut bit) = (at as u32, 0);
        while bit < 8 {
            word = if word & 1 == 0 { word >> 1 } else { word >> 1 ^ 0xedb8_8320 };
            bit += 1;
        }
        table[at] = word;
        at += 1;
    }
    table
}

const CRC: [u32; 256] = crc_table();

struct Summed<T> {
    inner: T,
    sum: u32,
}

impl<T: Write> Summed<T> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            self.sum = self.sum >> 8 ^ CRC[((self.sum ^ byte as u32) & 255) as usize];
        }
        self.inner.write_all(bytes)
    }

    fn number(&mut self, number: u64) -> io::Result<()> {
        self.put(&number.to_le_bytes())
    }
}

/// Writes a file, whole or not at all.
fn whole(path: &Path, write: impl FnOnce(BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.as_os_str().to_os_string();
    name.push(".part");
    let part = PathBuf::from(name);
    let file = File::create(&part).map(|file| BufWriter::with_capacity(BUFFER, file));
    let written = file.and_then(write).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

/// Writes a checkpoint.
pub fn save<const W: usize, E: Entry<W>>(
    path: &Path,
    head: &[u8],
    search: &Search,
    place: &Place,
    store: &Store<W, E>,
) -> io::Result<()> {
    whole(path, |file| {
        let mut out = Summed { inner: file, sum: u32::MAX };
        out.put(FIRST_LINE)?;
        out.number(head.len() as u64)?;
        out.put(head)?;
        for number in place.layout.as_numbers() {
            out.number(number)?;
        }
        for &largest in &place.tables.largest {
            out.number(largest as u64)?;
        }
        for slot in 0..place.tables.slots {
            let cells = place.tables.cells(slot);
            out.number(cells.len() as u64)?;
            for cell in cells {
                out.number(cell.len() as u64)?;
                for number in cell.iter() {
                    out.put(&number.to_le_bytes())?;
                }
            }
        }
        for number in search.counts() {
            out.number(number)?;
        }
        out.number(search.ways.kept as u64)?;
        search.ways.each(|way| out.put(way))?;
        out.number(store.met())?;
        let mut bytes = vec![0; size_of::<E>()];
        store.each_met(|entry| {
            entry.write(&mut bytes);
            out.put(&bytes)
        })?;
        out.number(store.queue.len() as u64)?;
        let (mut keys, mut at) = (Vec::new(), 0);
        while store.queue.chunk(at, &mut keys)? {
            for word in keys.iter().flatten() {
                out.number(*word)?;
            }
            at += 1;
        }
        let sum = !out.sum;
        out.put(&sum.to_le_bytes())?;
        out.inner.flush()?;
        out.inner.get_ref().sync_all()
    })
}

/// What is left of a checkpoint to read. Its checksum was compared before: what does not fit now was
/// made up.
pub struct Saved {
    file: BufReader<File>,
}

fn made_up() -> Stop {
    Stop::Python(unfit())
}

/// What the contract says of such a file.
pub fn unfit() -> PyErr {
    let error = Python::attach(|py| {
        let contract = py.import(intern!(py, "happysim.kernel.contract"))?;
        let unfit = contract.getattr(intern!(py, "Unfit"))?.call0()?;
        Ok(PyErr::from_value(unfit))
    });
    error.unwrap_or_else(|error| error)
}

impl Saved {
    /// Opens a file whose head ends at `start`.
    pub fn open(path: &Path, start: u64) -> io::Result<Self> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        Ok(Saved { file: BufReader::with_capacity(BUFFER, file) })
    }

    fn number(&mut self) -> io::Result<u64> {
        let mut bytes = [0; 8];
        self.file.read_exact(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn small(&mut self) -> Result<u32, Stop> {
        u32::try_from(self.number()?).map_err(|_| made_up())
    }

    /// Numbers the cells as they were numbered, after the first worlds; then the layout.
    pub fn place(&mut self, py: Python<'_>, place: &mut Place) -> Result<(), Stop> {
        let fields = place.tables.slots + 2;
        let words = self.number()? as usize;
        let mut numbers = vec![words as u64];
        for _ in 0..3 * fields {
            numbers.push(self.number()?);
        }
        place.layout = Layout::from_numbers(&numbers).ok_or_else(made_up)?;
        let mut largest = Vec::new();
        for _ in 0..fields {
            largest.push(self.small()?);
        }
        for slot in 0..place.tables.slots {
            for number in 0..self.small()? {
                let mut content = Vec::new();
                for _ in 0..self.small()? {
                    let mut bytes = [0; 4];
                    self.file.read_exact(&mut bytes)?;
                    content.push(u32::from_le_bytes(bytes));
                }
                match place.tables.import_cell(py, slot, &content) {
                    Ok(made) if made == Some(number) => {}
                    Err(error) if !error.is_instance_of::<PyIndexError>(py) => return Err(error.into()),
                    _ => return Err(made_up()),
                }
            }
        }
        for at in 0..fields {
            let known = &mut place.tables.largest[at];
            *known = largest[at].max(*known);
        }
        if !place.fits() {
            return Err(made_up());
        }
        Ok(())
    }

    /// The counts, the ways, the worlds met, and those that wait.
    pub fn search<const W: usize, E: Entry<W>>(
        &mut self,
        search: &mut Search,
        place: &mut Place,
        store: &mut Store<W, E>,
    ) -> Result<(), Stop> {
        let mut counts = search.counts();
        for count in &mut counts {
            *count = self.number()?;
        }
        let count = search.recount(counts);
        // What the judge read of the worlds met before is not known here, so any step may be news.
        place.worlds_judged.partial = true;
        if (self.number()? != 0) != search.ways.kept {
            return Err(made_up());
        }
        for index in 0..count {
            let mut way = [0; BYTES];
            if search.ways.kept {
                self.file.read_exact(&mut way)?;
            }
            if !search.ways.add_saved(way)? {
                return Err(made_up());
            }
            self.look(search, store, index)?;
        }
        let mut bytes = vec![0; size_of::<E>()];
        for index in 0..self.number()? {
            self.file.read_exact(&mut bytes)?;
            let entry = E::read(&bytes);
            store.add_met(entry)?;
            self.look(search, store, index)?;
        }
        let mut numbers = Vec::new();
        for index in 0..self.number()? {
            let mut key = [0; W];
            for word in &mut key {
                *word = self.number()?;
            }
            place.layout.unpack(&key, &mut numbers);
            if !place.tables.has(&numbers) {
                return Err(made_up());
            }
            store.queue.reserve()?;
            store.queue.push(&key);
            self.look(search, store, index)?;
        }
        let waiting = search.ways.count.checked_sub(search.cursor);
        let level = search.cursor..=search.ways.count;
        if store.met() != count || waiting != Some(store.queue.len()) || !level.contains(&search.level_end) {
            return Err(made_up());
        }
        Ok(())
    }

    fn look<const W: usize, E: Entry<W>>(
        &self,
        search: &mut Search,
        store: &mut Store<W, E>,
        index: u64,
    ) -> Result<(), Stop> {
        if index % RECORDS_A_LOOK == 0 {
            search.spill(store)?;
        }
        Ok(())
    }
}

impl Layout {
    fn as_numbers(&self) -> Vec<u64> {
        let fields = self.fields.iter();
        let fields = fields.flat_map(|field| [field.word as u64, field.shift as u64, field.mask]);
        std::iter::once(self.words as u64).chain(fields).collect()
    }

    fn from_numbers(numbers: &[u64]) -> Option<Layout> {
        let words = numbers[0] as usize;
        if !crate::layout::WORDS.contains(&words) {
            return None;
        }
        let mut fields = Vec::new();
        // The first word has a bit to spare, and no two fields share one.
        let mut used = vec![0u64; words];
        used[0] = 1 << 63;
        for field in numbers[1..].chunks_exact(3) {
            let (word, shift, mask) = (field[0] as usize, field[1] as u32, field[2]);
            let small = mask <= u32::MAX as u64 && (mask + 1).is_power_of_two();
            let fits = small && word < words && field[1] < 64 && mask.leading_zeros() >= shift;
            if !fits || used[word] & mask << shift != 0 {
                return None;
            }
            used[word] |= mask << shift;
            fields.push(Field { word, shift, mask });
        }
        Some(Layout { fields, words })
    }
}
