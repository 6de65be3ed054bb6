//! The JSON of an OCI image layout, as far as it is used here. Keys that are not known are passed
//! over, as the format wants it.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{INDEX, MARKER};
use crate::{Digest, Error, Manifest};

pub(super) const COMPONENT: &str = "application/wasm";
pub(super) const MANIFEST: &str = "application/vnd.blockhouse.plugin.manifest.v1+toml";
pub(super) const SIGNATURES: &str = "application/vnd.blockhouse.plugin.signatures.v1";
pub(super) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(super) const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const ARTIFACT: &str = "application/vnd.blockhouse.plugin.v1";
const LAYOUT_VERSION: &str = "1.0.0";
const SCHEMA_VERSION: u32 = 2;

/// `oci-layout`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Marker {
    image_layout_version: String,
}

impl Marker {
    pub(super) fn ours() -> Self {
        Self { image_layout_version: LAYOUT_VERSION.to_owned() }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.image_layout_version == LAYOUT_VERSION {
            return Ok(());
        }
        Err(Error::layout(MARKER, format!("has not version {LAYOUT_VERSION}")))
    }
}

/// `index.json`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    pub(super) manifests: Vec<Descriptor>,
}

impl Index {
    pub(super) fn of(manifests: Vec<Descriptor>) -> Self {
        Self { schema_version: SCHEMA_VERSION, media_type: INDEX_TYPE.to_owned(), manifests }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_schema(INDEX, self.schema_version)
    }
}

/// An image manifest: one plugin.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Image {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    artifact_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Image {
    pub(super) fn of(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            media_type: IMAGE.to_owned(),
            artifact_type: ARTIFACT.to_owned(),
            config,
            layers,
        }
    }

    /// Its layers: component, manifest, signatures.
    pub(super) fn check(&self, place: &str) -> Result<[&Descriptor; 3], Error> {
        let place = shown(place);
        check_schema(&place, self.schema_version)?;
        if self.artifact_type != ARTIFACT {
            let found = shown(&self.artifact_type);
            return Err(Error::layout(place, format!("is {found:?}, not a plugin")));
        }
        let [component, manifest, signatures] = self.layers.as_slice() else {
            return Err(Error::layout(place, "has not 3 layers"));
        };
        Ok([component, manifest, signatures])
    }
}

/// What a blob is, and where.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: String,
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// With name and version, for the tools that show layouts.
    pub(super) fn annotated(mut self, manifest: &Manifest) -> Self {
        let key = "org.opencontainers.image.ref.name".to_owned();
        // A tag has no `+`.
        let version = manifest.version.to_string().replace('+', "_");
        self.annotations.insert(key, format!("{}:{version}", manifest.name));
        self
    }
}

/// Bytes with their descriptor.
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Bytes,
}

impl Blob {
    pub(super) fn new(media_type: &str, bytes: Bytes) -> Self {
        let digest = Digest::of(&bytes);
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: digest.to_string(),
            size: bytes.len() as u64,
            annotations: BTreeMap::new(),
        };
        Self { digest, descriptor, bytes }
    }
}

fn check_schema(place: &str, version: u32) -> Result<(), Error> {
    if version == SCHEMA_VERSION {
        return Ok(());
    }
    Err(Error::layout(place, format!("has not schema version {SCHEMA_VERSION}")))
}

/// The beginning of a text from outside, for errors.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

pub(super) fn json(value: &impl Serialize) -> Result<Bytes, Error> {
    let bytes = serde_json::to_vec(value);
    bytes.map(Bytes::from).map_err(|e| Error::layout("JSON", e.to_string()))
}

pub(super) fn parse<T: DeserializeOwned>(place: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| Error::layout(shown(place), format!("is wrong: {e}")))
}
