//! Certificates, keys and lists out of PEM files.

use std::path::{Path, PathBuf};

use blockhouse_disk::{Disk, whole};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{Error, revocation};

/// Longest file: lists of revoked certificates can be long.
const FILE_LEN_MAX: u64 = 64 << 20;

/// What files held, to see that they changed. No way back to a key.
pub(crate) type Print = [u8; 32];

/// Bytes of one file; a key may be among them.
pub(crate) struct Pem {
    file: PathBuf,
    bytes: Zeroizing<Vec<u8>>,
}

impl Pem {
    pub(crate) fn read(disk: &dyn Disk, file: &Path) -> Result<Self, Error> {
        let failed = |e: std::io::Error| Error::in_file(file, &e);
        let bytes = whole::read_up_to(disk, file, FILE_LEN_MAX).map_err(failed)?;
        let bytes = bytes.ok_or_else(|| Error::in_file(file, &"there is no such file"))?;
        Ok(Self { file: file.to_owned(), bytes: Zeroizing::new(bytes) })
    }

    /// A chain, the first of which is the end of it.
    pub(crate) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&self.bytes)
            .collect::<Result<_, _>>()
            .map_err(|e| Error::in_file(&self.file, &format!("no PEM ({e})")))?;
        if chain.is_empty() {
            return Err(Error::in_file(&self.file, &"there is no certificate in it"));
        }
        Ok(chain)
    }

    pub(crate) fn key(&self) -> Result<PrivateKeyDer<'static>, Error> {
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|_| {
            // The cause would quote the file.
            Error::in_file(&self.file, &"there is no private key in it, or it is encrypted")
        })
    }

    pub(crate) fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        for certificate in self.chain()? {
            roots.add(certificate).map_err(|e| Error::in_file(&self.file, &e))?;
        }
        Ok(roots)
    }

    /// Lists of revoked certificates, none of which is of one of `roots` without its signature.
    pub(crate) fn lists(
        &self,
        roots: &RootCertStore,
    ) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
        let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&self.bytes)
            .collect::<Result<_, _>>()
            .map_err(|e| Error::in_file(&self.file, &format!("no PEM ({e})")))?;
        if lists.is_empty() {
            return Err(Error::in_file(&self.file, &"there is no revocation list in it"));
        }
        if lists.iter().any(|list| revocation::is_forged(list, roots)) {
            return Err(Error::in_file(
                &self.file,
                &"a list in it is not signed by the authority of tls.client_ca that it names",
            ));
        }
        Ok(lists)
    }
}

/// One print of several files.
pub(crate) fn print<'a>(files: impl IntoIterator<Item = &'a Pem>) -> Print {
    let mut hash = Sha256::new();
    for file in files {
        hash.update(Sha256::digest(&*file.bytes));
    }
    hash.finalize().into()
}
