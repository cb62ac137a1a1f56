//! Inboxes by the rules of `happysim/core/network.py`, as numbers side by side.
//!
//! A cell is a local state followed by its inbox: `[state, ...]`. Unordered: a message and its
//! number of copies, in order of rank. Duplicating: messages in order of rank. Ordered: for each
//! sender, in order, the sender, the length of its queue, and the queue.

use std::cmp::Ordering;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Unordered,
    Duplicating,
    Ordered,
}

/// The order of messages in an inbox: by sender, then by text.
pub trait Ranks {
    fn compare(&self, one: u32, other: u32) -> Ordering;
}

impl Kind {
    /// Where a message is, `stride` numbers each; or where it belongs.
    fn place(cell: &[u32], envelope: u32, stride: usize, ranks: &impl Ranks) -> Result<usize, usize> {
        let mut at = 1;
        while at < cell.len() {
            match ranks.compare(cell[at], envelope) {
                Ordering::Equal => return Ok(at),
                Ordering::Greater => break,
                Ordering::Less => at += stride,
            }
        }
        Err(at)
    }

    /// Where the queue of a sender begins, at its head entry; or where it belongs.
    fn queue(cell: &[u32], source: u32) -> Result<usize, usize> {
        let mut at = 1;
        while at < cell.len() {
            match cell[at].cmp(&source) {
                Ordering::Equal => return Ok(at),
                Ordering::Greater => break,
                Ordering::Less => at += 2 + cell[at + 1] as usize,
            }
        }
        Err(at)
    }

    pub fn put(self, cell: &mut Vec<u32>, envelope: u32, source: u32, ranks: &impl Ranks) {
        match self {
            Kind::Unordered => match Self::place(cell, envelope, 2, ranks) {
                Ok(at) => cell[at + 1] += 1,
                Err(at) => {
                    cell.splice(at..at, [envelope, 1]);
                }
            },
            Kind::Duplicating => {
                if let Err(at) = Self::place(cell, envelope, 1, ranks) {
                    cell.insert(at, envelope);
                }
            }
            Kind::Ordered => match Self::queue(cell, source) {
                Ok(at) => {
                    cell[at + 1] += 1;
                    cell.insert(at + 1 + cell[at + 1] as usize, envelope);
                }
                Err(at) => {
                    cell.splice(at..at, [source, 1, envelope]);
                }
            },
        }
    }

    /// True for numbers that are a cell: a local state and an inbox.
    pub fn fits(self, cell: &[u32]) -> bool {
        match self {
            Kind::Unordered => cell.len() % 2 == 1,
            Kind::Duplicating => !cell.is_empty(),
            Kind::Ordered => {
                let mut at = 1;
                while at + 2 < cell.len() && cell[at + 1] > 0 {
                    at = at.saturating_add(2 + cell[at + 1] as usize);
                }
                at == cell.len()
            }
        }
    }

    /// Each message that may be delivered next, once, in order of content.
    pub fn heads(self, cell: &[u32]) -> Vec<u32> {
        match self {
            Kind::Unordered => cell[1..].iter().step_by(2).copied().collect(),
            Kind::Duplicating => cell[1..].to_vec(),
            Kind::Ordered => {
                let (mut found, mut at) = (Vec::new(), 1);
                while at < cell.len() {
                    found.push(cell[at + 2]);
                    at += 2 + cell[at + 1] as usize;
                }
                found
            }
        }
    }

    /// Every message in the inbox, in whatever order.
    pub fn every(self, cell: &[u32]) -> Vec<u32> {
        if self != Kind::Ordered {
            return self.heads(cell);
        }
        let (mut found, mut at) = (Vec::new(), 1);
        while at < cell.len() {
            let end = at + 2 + cell[at + 1] as usize;
            found.extend_from_slice(&cell[at + 2..end]);
            at = end;
        }
        found
    }

    /// After a delivery.
    pub fn take(self, cell: &mut Vec<u32>, envelope: u32, source: u32) {
        if self != Kind::Duplicating {
            self.lose(cell, envelope, source);
        }
    }

    /// After one copy was lost; every copy, where the network copies.
    pub fn lose(self, cell: &mut Vec<u32>, envelope: u32, source: u32) {
        match self {
            Kind::Unordered => {
                let at = (1..cell.len()).step_by(2).find(|&at| cell[at] == envelope);
                if let Some(at) = at {
                    cell[at + 1] -= 1;
                    if cell[at + 1] == 0 {
                        cell.drain(at..at + 2);
                    }
                }
            }
            Kind::Duplicating => {
                let kept: Vec<u32> = cell[1..].iter().copied().filter(|&each| each != envelope).collect();
                cell.truncate(1);
                cell.extend(kept);
            }
            Kind::Ordered => {
                if let Ok(at) = Self::queue(cell, source) {
                    cell.remove(at + 2);
                    cell[at + 1] -= 1;
                    if cell[at + 1] == 0 {
                        cell.drain(at..at + 2);
                    }
                }
            }
        }
    }

    /// Without any copy of a message. Not of an ordered inbox, where it keeps its place.
    pub fn forget(self, cell: &mut Vec<u32>, envelope: u32) {
        match self {
            Kind::Duplicating => self.lose(cell, envelope, 0),
            Kind::Unordered => {
                if let Some(at) = (1..cell.len()).step_by(2).find(|&at| cell[at] == envelope) {
                    cell.drain(at..at + 2);
                }
            }
            Kind::Ordered => {}
        }
    }

    /// After a duplicate was made; false where that changes nothing.
    pub fn copy(self, cell: &mut Vec<u32>, envelope: u32, source: u32, ranks: &impl Ranks) -> bool {
        match self {
            Kind::Unordered => self.put(cell, envelope, source, ranks),
            Kind::Duplicating => return false,
            Kind::Ordered => match Self::queue(cell, source) {
                Ok(at) => {
                    cell[at + 1] += 1;
                    cell.insert(at + 2, envelope);
                }
                Err(_) => return false,
            },
        }
        true
    }

    /// After a crash of `source`; `None`: of the inbox's owner.
    pub fn cut(self, cell: &mut Vec<u32>, source: Option<u32>) {
        if self != Kind::Ordered {
            return;
        }
        match source {
            None => cell.truncate(1),
            Some(source) => {
                if let Ok(at) = Self::queue(cell, source) {
                    cell.drain(at..at + 2 + cell[at + 1] as usize);
                }
            }
        }
    }
}
