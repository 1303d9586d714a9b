//! Writes the zip at the end of a model: stored entries, so that any reader takes them.
//!
//! Layout: APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end).
#![deny(clippy::arithmetic_side_effects)]

use super::archive::{DIRECTORY_ENTRY, END, LOCAL_HEADER, crc32};
use crate::limits::MAX_ASSOCIATED_FILE_BYTES;
use crate::{Error, Result};

/// Version 2.0 of the format: files and folders.
const VERSION: u16 = 20;
/// 1 January 1980, the format's first day: the same model gives the same bytes.
const DATE: u16 = 0x21;

/// The files that a model carries.
#[derive(Default)]
pub(crate) struct Files {
    entries: Vec<(String, Vec<u8>)>,
}

fn too_large() -> Error {
    Error::invalid_option("the label files are too large for the zip at the end of a model")
}

impl Files {
    /// Adds a file; one that is there already may be named again.
    pub fn add(&mut self, name: &str, content: Vec<u8>) -> Result<()> {
        if content.len() > MAX_ASSOCIATED_FILE_BYTES {
            return Err(too_large());
        }
        match self.entries.iter().find(|(known, _)| known == name) {
            Some((_, known)) if *known == content => Ok(()),
            Some(_) => Err(Error::invalid_option(format!(
                "two label lists have the file name {name:?} and different names"
            ))
            .with("file", name)),
            None => {
                self.entries.push((name.to_owned(), content));
                Ok(())
            }
        }
    }

    /// Appends the zip to `file`, if there is anything to hold; its offsets count from the file's
    /// beginning.
    pub fn append_to(self, file: &mut Vec<u8>) -> Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let long = |value: usize| u32::try_from(value).map_err(|_| too_large());
        let short = |value: usize| u16::try_from(value).map_err(|_| too_large());
        let mut directory = Vec::new();
        for (name, content) in &self.entries {
            let offset = long(file.len())?;
            let mut common = Vec::new();
            // Version needed, flags (bit 11: names are UTF-8), method (stored), time, date.
            for value in [VERSION, 1 << 11, 0, 0, DATE] {
                common.extend(value.to_le_bytes());
            }
            let size = long(content.len())?;
            for value in [crc32(content), size, size] {
                common.extend(value.to_le_bytes());
            }
            common.extend(short(name.len())?.to_le_bytes());
            // No extra fields.
            common.extend([0; 2]);
            file.extend(LOCAL_HEADER);
            file.extend(&common);
            file.extend(name.as_bytes());
            file.extend(content);
            directory.extend(DIRECTORY_ENTRY);
            directory.extend(VERSION.to_le_bytes());
            directory.extend(&common);
            // No comment, disk 0, no attributes.
            directory.extend([0; 10]);
            directory.extend(offset.to_le_bytes());
            directory.extend(name.as_bytes());
        }
        let start = long(file.len())?;
        let count = short(self.entries.len())?.to_le_bytes();
        file.extend(&directory);
        file.extend(END);
        // This disk and that of the directory.
        file.extend([0; 4]);
        file.extend(count);
        file.extend(count);
        file.extend(long(directory.len())?.to_le_bytes());
        file.extend(start.to_le_bytes());
        // No comment.
        file.extend([0; 2]);
        Ok(())
    }
}
