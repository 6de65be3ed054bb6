//! Taking entries and files of queues away.

use super::{QueueFiles, UNIT_LEN_U64};
use crate::Error;
use crate::queue::Queue;

impl QueueFiles {
    /// Removes all entries from `max` on.
    pub(crate) fn cut(&self, queue: &Queue, max: u64) -> Result<(), Error> {
        for number in self.numbers(queue)? {
            let path = self.path(queue, number);
            let start = number * self.per_file;
            if start >= max {
                self.open.lock().forget(queue.uid);
                self.disk.remove(&path).map_err(Error::io("remove", &path))?;
            } else if start + self.per_file > max {
                // Never shorter in between: a crash may leave any length that a file once had.
                self.file(queue, number, false)
                    .and_then(|file| file.zero_from((max - start) * UNIT_LEN_U64))
                    .map_err(Error::io("cut", &path))?;
            }
        }
        Ok(())
    }

    /// Removes files that hold only entries before `min`, but never the last. Gives how many.
    pub(crate) fn remove_before(&self, queue: &Queue, min: u64) -> Result<usize, Error> {
        let numbers = self.numbers(queue)?;
        let mut removed = 0;
        for number in numbers.iter().take(numbers.len().saturating_sub(1)) {
            if (number + 1) * self.per_file <= min {
                let path = self.path(queue, *number);
                self.disk.remove(&path).map_err(Error::io("remove", &path))?;
                removed += 1;
            }
        }
        if removed > 0 {
            self.open.lock().forget(queue.uid);
        }
        Ok(removed)
    }

    /// Lets go of a queue's open files.
    pub(crate) fn forget(&self, queue: &Queue) {
        self.open.lock().forget(queue.uid);
    }

    /// Removes a topic's directory.
    pub(crate) fn remove_topic(&self, topic: &str) -> Result<(), Error> {
        let dir = self.root.join(topic);
        self.disk.remove_dir(&dir).map_err(Error::io("remove", &dir))
    }

    /// Removes everything.
    pub(crate) fn remove_all(&self) -> Result<(), Error> {
        self.disk.remove_dir(&self.root).map_err(Error::io("remove", &self.root))
    }
}
