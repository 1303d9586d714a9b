//! What a file is that is no `.tflite`: people rename things, and servers answer with pages.

use super::schema;
use crate::flatbuffer::Buffer;
use crate::{Error, Result};

/// Passes a file with the identifier of the TensorFlow Lite schema; otherwise says what it is.
pub(crate) fn check(bytes: &[u8]) -> Result<()> {
    if Buffer::new(bytes, 0).identifier() == Some(schema::IDENTIFIER) {
        return Ok(());
    }
    let (what, kind) = describe(bytes);
    Err(Error::format(what).with("length", bytes.len()).with("found", kind))
}

/// A sentence and a short word for bytes that are no `.tflite`.
fn describe(bytes: &[u8]) -> (&'static str, &'static str) {
    let text = bytes.trim_ascii_start();
    let starts = |prefix: &[u8]| {
        text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if bytes.is_empty() {
        return ("the model is empty (0 bytes)", "empty");
    }
    match bytes {
        [0x1f, 0x8b, ..] => {
            return ("this is a gzip file, not a .tflite model: decompress it first", "gzip");
        }
        [b'P', b'K', 3 | 5, 4 | 6, ..] => {
            return (
                "this is a ZIP archive (perhaps a MediaPipe .task bundle, a SavedModel or a PyTorch \
                 checkpoint), not a .tflite model: extract the .tflite file from it",
                "zip",
            );
        }
        [0x89, b'P', b'N', b'G', ..] => {
            return ("this is a PNG picture, not a .tflite model", "png");
        }
        [0xff, 0xd8, 0xff, ..] => return ("this is a JPEG picture, not a .tflite model", "jpeg"),
        [0x89, b'H', b'D', b'F', ..] => {
            return (
                "this is an HDF5 file (a Keras .h5 model?), not a .tflite model: convert it with \
                 tf.lite.TFLiteConverter",
                "hdf5",
            );
        }
        [_, _, _, _, b'T', b'F', b'L', version, ..] if version.is_ascii_digit() => {
            return (
                "this TensorFlow Lite file is of another schema than version 3 (TFL3): convert it \
                 again with a current converter",
                "tflite",
            );
        }
        _ => {}
    }
    if starts(b"version https://git-lfs.github.com/spec/") {
        return (
            "this is a Git LFS pointer, not the .tflite model itself: fetch the file with git lfs \
             pull, or from a media URL",
            "git-lfs",
        );
    }
    if starts(b"<!doctype html") || starts(b"<html") || starts(b"<head") || starts(b"<body") {
        return (
            "this is an HTML page, not a .tflite model: the server answered with a page, often \
             for a wrong address or a login",
            "html",
        );
    }
    if starts(b"<?xml") || starts(b"<error") {
        return (
            "this is an XML document, not a .tflite model: the server answered with it",
            "xml",
        );
    }
    if starts(b"{") || starts(b"[") {
        return ("this is a JSON document, not a .tflite model", "json");
    }
    if is_onnx(bytes) {
        return ("this is an ONNX model, not a .tflite", "onnx");
    }
    if bytes.len() < 8 {
        return (
            "the file has fewer than 8 bytes: it is no .tflite model, or is truncated",
            "short",
        );
    }
    ("this is not a .tflite model: bytes 4 to 7 are not \"TFL3\"", "unknown")
}

/// Whether the bytes begin like ONNX's ModelProto: field 1 (`ir_version`) is a small varint, then
/// comes one of the message's further fields with its own wire type. Field numbers: onnx.proto.
pub fn is_onnx(bytes: &[u8]) -> bool {
    // Exporters write the fields in order, but some leave out what they may: what follows is
    // producer_name (2), producer_version (3), domain (4), model_version (5, a varint), doc_string
    // (6), graph (7), opset_import (8).
    matches!(bytes, [0x08, 1..=30, 0x12 | 0x1a | 0x22 | 0x28 | 0x32 | 0x3a | 0x42, _, ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(bytes: &[u8], part: &str) {
        let error = check(bytes).unwrap_err();
        assert_eq!(error.code.as_str(), "MODEL_FORMAT");
        assert!(error.message.contains(part), "{error}");
    }

    #[test]
    fn what_is_no_model_is_named() {
        says(b"", "empty");
        says(b"TFL3", "fewer than 8 bytes");
        says(b"\x1c\0\0\0TFL2\0\0\0\0", "another schema");
        says(b"\r\n <!DOCTYPE html><html>", "HTML page");
        says(b"<HTML><body>404", "HTML page");
        says(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG");
        says(b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG");
        says(b"PK\x03\x04\x14\0\0\0\0\0", "ZIP");
        says(b"\x1f\x8b\x08\0\0\0\0\0", "gzip");
        says(b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS pointer");
        says(b"\x08\x08\x12\x07pytorch\x1a\x051.8.0", "this is an ONNX model, not a .tflite");
        says(b"\x89HDF\r\n\x1a\n", "HDF5");
        says(b"{\"format\": \"graph-model\"}", "JSON");
        says(b"\0\0\0\0\0\0\0\0\0\0\0", "bytes 4 to 7");
    }
}
