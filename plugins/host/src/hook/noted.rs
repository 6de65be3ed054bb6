//! What a span is told of a call.

use blockhouse_hook::calls::{self, PluginCall};

use crate::Failure;
use crate::interface::Interface;
use crate::plugin::{Plugin, Took};

impl Plugin {
    /// Notes a call that has ended, if its request may become a span. `word` says what was answered.
    pub(super) fn noted<T>(
        &self,
        hook: Interface,
        took: Took,
        messages: usize,
        answer: &Result<T, Failure>,
        word: impl FnOnce(&T) -> &'static str,
    ) {
        calls::note(|| {
            let failure = answer.as_ref().err().map(|failure| Failure::KINDS[failure.kind()]);
            PluginCall {
                verdict: answer.as_ref().map_or("fail", word),
                failure,
                is_shadow: self.is_shadow(),
                messages,
                began: took.begun,
                took: took.time,
                ..PluginCall::new(&self.binding.name, hook.name())
            }
        });
    }
}
