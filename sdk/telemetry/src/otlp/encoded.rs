//! Requests over gRPC that are encoded already: what puts them together gives bytes, which need not be read
//! to be sent.

use std::marker::PhantomData;

use hyper::body::Bytes;
use prost::Message;
use prost::bytes::BufMut as _;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, EncodeBuf, Encoder};
use tonic_prost::{ProstCodec, ProstDecoder};

/// Sends bytes as they are, and reads answers of this kind.
pub(super) struct Encoded<A>(PhantomData<fn() -> A>);

impl<A> Default for Encoded<A> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<A: Message + Default + 'static> Codec for Encoded<A> {
    type Encode = Bytes;
    type Decode = A;
    type Encoder = AsItIs;
    type Decoder = ProstDecoder<A>;

    fn encoder(&mut self) -> AsItIs {
        AsItIs
    }

    fn decoder(&mut self) -> ProstDecoder<A> {
        ProstCodec::<A, A>::raw_decoder(BufferSettings::default())
    }
}

pub(super) struct AsItIs;

impl Encoder for AsItIs {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, encoded: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.reserve(encoded.len());
        to.put(encoded);
        Ok(())
    }
}
