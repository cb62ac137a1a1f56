//! Files for what does not fit into memory. They grow at their end, and the newest bytes are still
//! here: so what a full disk refuses is not lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes that are written at a time.
const TAIL: usize = 1 << 14;
/// Bytes that are read at a time, at least.
const BLOCK: usize = 1 << 18;

static FILES: AtomicU32 = AtomicU32::new(0);

/// A file without a name: it is gone once it is closed, however this process ends.
pub fn nameless(folder: &Path) -> io::Result<File> {
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("happysim-{}-{number}.tmp", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

pub fn write_at(mut file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(bytes)
}

pub fn read_at(mut file: &File, at: u64, bytes: &mut [u8]) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

/// Records of one size, in a file but for the newest.
pub struct Spool {
    file: File,
    record: usize,
    written: u64,
    tail: Vec<u8>,
}

impl Spool {
    pub fn new(folder: &Path, record: usize) -> io::Result<Self> {
        Ok(Spool { file: nameless(folder)?, record, written: 0, tail: Vec::new() })
    }

    /// The number of records.
    pub fn len(&self) -> u64 {
        (self.written + self.tail.len() as u64) / self.record as u64
    }

    /// Makes room for one more record: on an error nothing has changed.
    #[inline(always)]
    pub fn reserve(&mut self) -> io::Result<()> {
        if self.tail.len() + self.record > TAIL { self.flush() } else { Ok(()) }
    }

    #[cold]
    fn flush(&mut self) -> io::Result<()> {
        // What an earlier attempt left behind the end is written over.
        write_at(&self.file, self.written, &self.tail)?;
        self.written += self.tail.len() as u64;
        self.tail.clear();
        Ok(())
    }

    /// Adds a record. Call `reserve` before.
    #[inline(always)]
    pub fn push(&mut self, record: &[u8]) {
        debug_assert_eq!(record.len(), self.record);
        self.tail.extend_from_slice(record);
    }

    /// Copies one record.
    pub fn get(&self, index: u64, into: &mut [u8]) -> io::Result<()> {
        let at = index * self.record as u64;
        match at.checked_sub(self.written) {
            None => read_at(&self.file, at, into),
            Some(at) => {
                into.copy_from_slice(&self.tail[at as usize..at as usize + self.record]);
                Ok(())
            }
        }
    }

    /// Hands over all records, many at a time.
    pub fn each<F: From<io::Error>>(&self, mut take: impl FnMut(&[u8]) -> Result<(), F>) -> Result<(), F> {
        let mut block = vec![0; BLOCK.next_multiple_of(self.record)];
        let mut at = 0;
        while at < self.written {
            let length = block.len().min((self.written - at) as usize);
            read_at(&self.file, at, &mut block[..length])?;
            take(&block[..length])?;
            at += length as u64;
        }
        take(&self.tail)
    }

    /// Forgets all records, and gives the disk back.
    pub fn clear(&mut self) -> io::Result<()> {
        self.tail.clear();
        if self.written > 0 {
            self.written = 0;
            self.file.set_len(0)?;
        }
        Ok(())
    }
}
