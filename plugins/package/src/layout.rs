//! Plugins in an OCI image layout, to be carried to sites without a network.
//!
//! A directory or a tar file of it: `oci-layout`, `index.json`, `blobs/sha256/DIGEST`. Each plugin
//! is an image manifest with three layers: component, manifest, signatures. The same plugins make
//! the same bytes. What is read is checked against its digest and size, and no path in it leads
//! anywhere: a file is looked for by its digest, and a tar file is never unpacked.

mod directory;
mod image;
mod tarball;

use std::collections::BTreeMap;
use std::path::Path;

use blockhouse_disk::Disk;
use bytes::Bytes;

use crate::{Digest, Error, Manifest, Package, Signatures, component};
use image::{Blob, Descriptor, Image, Index, Marker};

/// Most plugins of a layout.
pub const PLUGINS_MAX: usize = 64;
/// Most bytes of a layout.
pub const SIZE_MAX: u64 = 512 << 20;
/// Largest of the files that are JSON.
const JSON_SIZE_MAX: u64 = 256 << 10;

const MARKER: &str = "oci-layout";
const INDEX: &str = "index.json";
const BLOBS: &str = "blobs/sha256";

/// Where the files of a layout are.
trait Files {
    /// All bytes of a file, if they are not too many.
    fn read(&self, path: &str, max: u64) -> Result<Bytes, Error>;
}

/// Writes plugins into a new directory, or a new tar file if the path ends with `.tar`.
///
/// # Errors
/// The disk fails, something is there, or there are too many plugins or bytes.
pub fn save(disk: &dyn Disk, path: &Path, packages: &[Package]) -> Result<(), Error> {
    if disk.exists(path) {
        return Err(Error::Exists(path.to_owned()));
    }
    let files = files(packages)?;
    let len: u64 = files.values().map(|bytes| bytes.len() as u64).sum();
    if len > SIZE_MAX {
        return Err(Error::TooLarge { what: "the layout".to_owned(), len, max: SIZE_MAX });
    }
    if is_tar(path) {
        tarball::write(disk, path, &files)
    } else {
        directory::write(disk, path, &files)
    }
}

/// Reads all plugins of a directory, or of a tar file if the path ends with `.tar`. Nobody has
/// vouched for them yet.
///
/// # Errors
/// The disk fails, or anything in the layout is not as it must be.
pub fn load(disk: &dyn Disk, path: &Path) -> Result<Vec<Package>, Error> {
    if is_tar(path) {
        return packages(&tarball::Tarball::read(disk, path)?);
    }
    packages(&directory::Directory { disk, path })
}

/// Whether a layout of that name is a tar file, and no directory.
#[must_use]
pub fn is_tar(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tar")
}

fn blob_path(digest: Digest) -> String {
    format!("{BLOBS}/{}", digest.hex())
}

/// All files of a layout, by their paths.
fn files(packages: &[Package]) -> Result<BTreeMap<String, Bytes>, Error> {
    if packages.len() > PLUGINS_MAX {
        return Err(Error::layout(INDEX, format!("has more than {PLUGINS_MAX} plugins")));
    }
    let mut files = BTreeMap::from([(MARKER.to_owned(), image::json(&Marker::ours())?)]);
    let mut images = Vec::new();
    for package in packages {
        let component = Blob::new(image::COMPONENT, package.bytes().clone());
        let manifest = Blob::new(image::MANIFEST, package.manifest().canonical().into());
        let signatures = Blob::new(image::SIGNATURES, package.signatures().to_string().into());
        let config = Blob::new(image::EMPTY, Bytes::from_static(b"{}"));
        let layers = vec![
            component.descriptor.clone(),
            manifest.descriptor.clone(),
            signatures.descriptor.clone(),
        ];
        let image = Image::of(config.descriptor.clone(), layers);
        let image = Blob::new(image::IMAGE, image::json(&image)?);
        images.push(image.descriptor.clone().annotated(package.manifest()));
        for blob in [component, manifest, signatures, config, image] {
            files.insert(blob_path(blob.digest), blob.bytes);
        }
    }
    files.insert(INDEX.to_owned(), image::json(&Index::of(images))?);
    Ok(files)
}

fn packages(files: &impl Files) -> Result<Vec<Package>, Error> {
    let marker: Marker = image::parse(MARKER, &files.read(MARKER, JSON_SIZE_MAX)?)?;
    marker.check()?;
    let index: Index = image::parse(INDEX, &files.read(INDEX, JSON_SIZE_MAX)?)?;
    index.check()?;
    if index.manifests.is_empty() || index.manifests.len() > PLUGINS_MAX {
        return Err(Error::layout(INDEX, format!("has not 1 to {PLUGINS_MAX} plugins")));
    }
    let mut left = SIZE_MAX;
    index.manifests.iter().map(|descriptor| package(files, descriptor, &mut left)).collect()
}

fn package(files: &impl Files, descriptor: &Descriptor, left: &mut u64) -> Result<Package, Error> {
    let bytes = blob(files, descriptor, image::IMAGE, JSON_SIZE_MAX)?;
    let image: Image = image::parse(&descriptor.digest, &bytes)?;
    let layers = image.check(&descriptor.digest)?;
    let [component, manifest, signatures] = layers;
    let bytes = blob(files, component, image::COMPONENT, component::SIZE_MAX)?;
    *left = left.checked_sub(bytes.len() as u64).ok_or_else(|| Error::TooLarge {
        what: "the layout".to_owned(),
        len: SIZE_MAX + 1,
        max: SIZE_MAX,
    })?;
    let max = crate::manifest::SIZE_MAX as u64;
    let manifest = blob(files, manifest, image::MANIFEST, max)?;
    let signatures = blob(files, signatures, image::SIGNATURES, crate::signature::FILE_SIZE_MAX)?;
    let manifest = Manifest::parse_canonical(&manifest)?;
    Package::new(bytes, Some(manifest), Signatures::parse(&signatures)?)
}

/// A blob that is of this kind, no larger than `max`, and has the digest and size that it should.
fn blob(files: &impl Files, descriptor: &Descriptor, kind: &str, max: u64) -> Result<Bytes, Error> {
    let place = || image::shown(&descriptor.digest);
    let digest: Digest = descriptor.digest.parse()?;
    if descriptor.media_type != kind {
        let problem = format!("is {}, not {kind}", image::shown(&descriptor.media_type));
        return Err(Error::layout(place(), problem));
    }
    if descriptor.size > max {
        return Err(Error::TooLarge { what: place(), len: descriptor.size, max });
    }
    let bytes = files.read(&blob_path(digest), descriptor.size)?;
    if bytes.len() as u64 != descriptor.size {
        return Err(Error::layout(place(), format!("has not {} bytes", descriptor.size)));
    }
    if Digest::of(&bytes) != digest {
        return Err(Error::layout(place(), "has other bytes than its name says"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
