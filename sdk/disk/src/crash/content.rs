//! The contents of a file as pages that copies share.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::mem::{PAGE, PAGE_U64, pages};

/// A page; `None` reads as zeros.
pub(super) type Page = Option<Arc<[u8]>>;

/// Pages and a length. Nothing but zeros lies behind the length.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pages: BTreeMap<u64, Arc<[u8]>>,
    len: u64,
}

impl Content {
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn page(&self, number: u64) -> Page {
        self.pages.get(&number).cloned()
    }

    /// The numbers of pages from `number` on that are not just zeros.
    pub(super) fn numbers_from(&self, number: u64) -> Vec<u64> {
        self.pages.range(number..).map(|(number, _)| *number).collect()
    }

    pub(super) fn put(&mut self, number: u64, page: Page) {
        match page {
            Some(page) => self.pages.insert(number, page),
            None => self.pages.remove(&number),
        };
    }

    pub(super) fn read(&self, buf: &mut [u8], at: u64) -> usize {
        let there = self.len.saturating_sub(at).min(buf.len() as u64);
        let there = usize::try_from(there).unwrap_or(buf.len());
        for (number, inside, part) in pages(at, there) {
            match self.pages.get(&number) {
                Some(page) => buf[part].copy_from_slice(&page[inside]),
                None => buf[part].fill(0),
            }
        }
        there
    }

    pub(super) fn write(&mut self, bytes: &[u8], at: u64) {
        for (number, inside, part) in pages(at, bytes.len()) {
            let page = self.pages.entry(number).or_insert_with(|| Arc::from([0; PAGE]));
            Arc::make_mut(page)[inside].copy_from_slice(&bytes[part]);
        }
        self.len = self.len.max(at + bytes.len() as u64);
    }

    pub(super) fn set_len(&mut self, len: u64) {
        let kept = len.div_ceil(PAGE_U64);
        let _gone = self.pages.split_off(&kept);
        let inside = usize::try_from(len % PAGE_U64).unwrap_or(0);
        if let Some(last) = self.pages.get_mut(&(len / PAGE_U64)) {
            Arc::make_mut(last)[inside..].fill(0);
        }
        self.len = len;
    }
}
