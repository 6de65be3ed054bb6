//! A bar on a terminal for what takes long.

use std::cell::Cell;
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Bytes between two looks of the bar.
const STEP: u64 = 1 << 20;

pub(super) struct Bar {
    bar: ProgressBar,
    shown: Cell<u64>,
}

impl Bar {
    /// A bar on stderr, if that is a terminal.
    pub(super) fn new(what: &'static str) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template(
            "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        );
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self { bar, shown: Cell::new(0) }
    }

    pub(super) fn show(&self, done: u64, of: u64) {
        if done >= self.shown.get() + STEP {
            self.shown.set(done);
            self.bar.set_length(of);
            self.bar.set_position(done);
        }
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
