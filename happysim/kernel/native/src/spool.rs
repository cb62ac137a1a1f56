//! Files for what does not fit into memory. They grow at their end, and the newest bytes are still
//! here: so what a full disk refuses is not lost.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Bytes that are written at a time.
const TAIL: usize = 1 << 14;
/// Of the memory that there is: there are some hundred such files.
const SHARE: usize = 512;
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

/// True where a disk, or what one may take of it, is full.
pub fn is_full(error: &io::Error) -> bool {
    #[cfg(unix)]
    return matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EFBIG | libc::EDQUOT));
    #[cfg(not(unix))]
    return error.kind() == io::ErrorKind::StorageFull;
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
    folder: PathBuf,
    /// Made once there is something to write.
    file: Option<File>,
    record: usize,
    written: u64,
    tail: Vec<u8>,
    tail_max: usize,
}

impl Spool {
    /// A small search, with little memory to spare, writes less at a time.
    pub fn new(folder: &Path, record: usize, memory: usize) -> Self {
        let tail_max = (memory / SHARE).clamp(record, TAIL);
        Spool { folder: folder.to_path_buf(), file: None, record, written: 0, tail: Vec::new(), tail_max }
    }

    /// The number of records.
    pub fn len(&self) -> u64 {
        (self.written + self.tail.len() as u64) / self.record as u64
    }

    /// Makes room for one more record: on an error nothing has changed.
    #[inline(always)]
    pub fn reserve(&mut self) -> io::Result<()> {
        if self.tail.len() + self.record > self.tail_max { self.flush() } else { Ok(()) }
    }

    #[cold]
    fn flush(&mut self) -> io::Result<()> {
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(nameless(&self.folder)?),
        };
        // What an earlier attempt left behind the end is written over.
        write_at(file, self.written, &self.tail)?;
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
        match (&self.file, at.checked_sub(self.written)) {
            (Some(file), None) => read_at(file, at, into)?,
            (_, at) => {
                let at = at.unwrap_or(0) as usize;
                into.copy_from_slice(&self.tail[at..at + self.record]);
            }
        }
        Ok(())
    }

    /// Hands over all records, many at a time.
    pub fn each<F: From<io::Error>>(&self, mut take: impl FnMut(&[u8]) -> Result<(), F>) -> Result<(), F> {
        if let Some(file) = &self.file {
            let mut block = vec![0; (BLOCK.min(self.written as usize)).next_multiple_of(self.record)];
            let mut at = 0;
            while at < self.written {
                let length = block.len().min((self.written - at) as usize);
                read_at(file, at, &mut block[..length])?;
                take(&block[..length])?;
                at += length as u64;
            }
        }
        take(&self.tail)
    }

    /// Forgets all records, and gives the disk back.
    pub fn clear(&mut self) -> io::Result<()> {
        self.tail.clear();
        if let Some(file) = &self.file {
            self.written = 0;
            file.set_len(0)?;
        }
        Ok(())
    }
}
