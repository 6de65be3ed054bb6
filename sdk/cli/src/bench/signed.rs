//! A script whose requests are signed.

use std::sync::Arc;

use blockhouse_protocol::signed::Signer;
use blockhouse_protocol::{RequestHead, encode, frame};
use bytes::BytesMut;

use super::scan::Response;
use super::stats::Stats;
use super::wire::Script;

/// Longest frame that a script writes.
const FRAME_LEN_MAX: usize = 64 << 20;

/// Runs `script`, and signs what it writes if there is somebody to sign. That costs the generator more
/// than the server: unsigned runs are the ones to compare by.
pub(crate) struct Signed<S> {
    script: S,
    signer: Option<Arc<Signer>>,
    written: Vec<u8>,
    signed: BytesMut,
}

impl<S> Signed<S> {
    pub(crate) fn new(script: S, signer: Option<Arc<Signer>>) -> Self {
        Self { script, signer, written: Vec::new(), signed: BytesMut::new() }
    }

    fn run<T>(&mut self, out: &mut Vec<u8>, run: impl FnOnce(&mut S, &mut Vec<u8>) -> T) -> T {
        let Some(signer) = &self.signer else { return run(&mut self.script, out) };
        let done = run(&mut self.script, &mut self.written);
        let mut frames = BytesMut::from(self.written.as_slice());
        self.written.clear();
        // What scripts write is well formed, and whole.
        while let Ok(Some(command)) = frame::split(&mut frames, FRAME_LEN_MAX) {
            let head = RequestHead {
                version: command.version,
                ..RequestHead::new(command.code, command.opaque)
            };
            let fields = |out: &mut encode::ExtWriter<'_>| {
                command.ext.iter().for_each(|(name, value)| out.pair(name, value));
            };
            let write = |out: &mut encode::ExtWriter<'_>| signer.write(out, fields, &command.body);
            encode::request(&mut self.signed, &head, write, &command.body);
        }
        out.extend_from_slice(&self.signed);
        self.signed.clear();
        done
    }
}

impl<S: Script> Script for Signed<S> {
    fn start(&mut self, now: u64, out: &mut Vec<u8>) {
        self.run(out, |script, out| script.start(now, out));
    }

    fn answer(
        &mut self,
        now: u64,
        response: &Response<'_>,
        out: &mut Vec<u8>,
        stats: Option<&mut Stats>,
    ) {
        self.run(out, |script, out| script.answer(now, response, out, stats));
    }

    fn due(&mut self, now: u64, out: &mut Vec<u8>) -> Option<u64> {
        self.run(out, |script, out| script.due(now, out))
    }
}

#[cfg(test)]
mod tests {
    use super::super::frames::{Queue, SendFrame};
    use super::*;

    struct Two;

    impl Script for Two {
        fn start(&mut self, _: u64, out: &mut Vec<u8>) {
            let queue = Queue { topic: "t".to_owned(), queue_id: 0 };
            let mut counter = 0;
            for slot in 0..2 {
                SendFrame::new(&queue, slot, 1, 32, 1).write(7, &mut counter, out);
            }
        }

        fn answer(&mut self, _: u64, _: &Response<'_>, _: &mut Vec<u8>, _: Option<&mut Stats>) {}
    }

    fn written(signer: Option<Arc<Signer>>) -> Vec<blockhouse_protocol::RemotingCommand> {
        let mut out = Vec::new();
        Signed::new(Two, signer).start(0, &mut out);
        let mut bytes = BytesMut::from(out.as_slice());
        std::iter::from_fn(|| frame::split(&mut bytes, FRAME_LEN_MAX).unwrap()).collect()
    }

    #[test]
    fn each_request_is_the_same_and_signed() {
        let plain = written(None);
        let signer = Signer::new("me", |fields, body| format!("{}+{}", fields.len(), body.len()));
        let signed = written(Some(Arc::new(signer)));
        assert_eq!((plain.len(), signed.len()), (2, 2));
        for (plain, signed) in plain.iter().zip(&signed) {
            assert_eq!((plain.opaque, &plain.body), (signed.opaque, &signed.body));
            assert_eq!((plain.code, plain.version), (signed.code, signed.version));
            let mut expected: Vec<_> = plain.ext.iter().collect();
            let len = expected.iter().map(|(_, value)| value.len()).sum::<usize>() + 2;
            let signature = format!("{len}+32");
            expected.extend([("AccessKey", "me"), ("Signature", signature.as_str())]);
            assert_eq!(signed.ext.iter().collect::<Vec<_>>(), expected);
        }
    }
}
