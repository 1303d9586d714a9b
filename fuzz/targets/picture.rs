//! Any bytes as a picture file: an error, or as many pixels as the picture says.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|file: &[u8]| {
    let Ok(picture) = achado_decode::decode(file) else { return };
    let (width, height) = (picture.width as usize, picture.height as usize);
    assert_eq!(picture.pixels.len(), width * height * 4);
});
