//! Writes the zip at the end of a model, right or wrong.

/// One entry; sizes and checksum are right unless told otherwise.
#[derive(Clone, Default)]
pub struct Entry {
    pub name: &'static str,
    pub content: Vec<u8>,
    pub deflate: bool,
    pub flags: u16,
    pub method: Option<u16>,
    pub size: Option<u32>,
    pub crc32: Option<u32>,
}

impl Entry {
    pub fn stored(name: &'static str, content: &[u8]) -> Self {
        Self { name, content: content.to_vec(), ..Self::default() }
    }

    pub fn deflated(name: &'static str, content: &[u8]) -> Self {
        Self { deflate: true, ..Self::stored(name, content) }
    }
}

/// Bit by bit, unlike the reader's.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// The zip's bytes; `base` is added to its offsets, as by programs that append in place.
pub fn build(entries: &[Entry], base: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let data = if entry.deflate {
            miniz_oxide::deflate::compress_to_vec(&entry.content, 6)
        } else {
            entry.content.clone()
        };
        let method = entry.method.unwrap_or(if entry.deflate { 8 } else { 0 });
        let crc = entry.crc32.unwrap_or_else(|| crc32(&entry.content));
        let size = entry.size.unwrap_or(u32::try_from(entry.content.len()).unwrap());
        let offset = u32::try_from(base + bytes.len()).unwrap();
        let mut common = Vec::new();
        for short in [20, entry.flags, method, 0, 0x21] {
            common.extend(short.to_le_bytes());
        }
        for long in [crc, u32::try_from(data.len()).unwrap(), size] {
            common.extend(long.to_le_bytes());
        }
        common.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
        common.extend(0u16.to_le_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(entry.name.as_bytes());
        bytes.extend(&data);
        directory.extend(b"PK\x01\x02");
        directory.extend(20u16.to_le_bytes());
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(entry.name.as_bytes());
    }
    let start = u32::try_from(base + bytes.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}
