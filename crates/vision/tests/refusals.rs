//! Bad pictures and options that contradict a model, with what they say.

mod common;

use achado_model::metadata::Normalization;
use achado_model::{DataType, ErrorCode, Result};
use achado_vision::{Channels, FrameOptions, Picture, PixelFormat, Preprocess, Preprocessor};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn bad_picture(pixels: &[u8], width: usize, height: usize, format: PixelFormat) -> String {
    let tensor = common::tensor(DataType::UInt8, &[1, 2, 2, 3], None);
    let mut preprocessor = Preprocessor::new(&tensor, None, &Preprocess::default()).unwrap();
    let picture = Picture { pixels, width, height, format };
    let result = preprocessor.run(&picture, &FrameOptions::default(), &mut [0; 12]);
    result.unwrap_err().to_string()
}

#[test]
fn pictures() {
    assert_eq!(
        bad_picture(&[], 0, 5, PixelFormat::Rgba8),
        "INVALID_INPUT: the picture is 0x5 pixels; wait until it is loaded, or give one with both \
         sides above 0"
    );
    assert_eq!(
        bad_picture(&[0; 7], 2, 1, PixelFormat::Rgba8),
        "INVALID_INPUT: a picture of 2x1 pixels with 4 bytes each needs 8 bytes, has 7; check its \
         width, height and pixel format"
    );
    assert_eq!(
        bad_picture(&[0; 4], 1 << 21, 1, PixelFormat::Gray8),
        "INVALID_INPUT: the picture is 2097152x1 pixels; scale it down to at most 1048576 a side"
    );
    assert!(bad_picture(&[0; 4], usize::MAX, usize::MAX, PixelFormat::Rgb8).contains("scale it"));
    // 2^40 pixels: the size does not fit a 32-bit usize, and is no buffer's length on any.
    assert!(bad_picture(&[0; 4], 1 << 20, 1 << 20, PixelFormat::Rgb8).contains("has 4"));
}

fn refused(shape: &[usize], dtype: DataType, options: &Preprocess) -> (ErrorCode, String) {
    let tensor = common::tensor(dtype, shape, None);
    let error = Preprocessor::new(&tensor, None, options).unwrap_err();
    (error.code, error.message.into_owned())
}

#[test]
fn inputs_that_are_no_pictures() {
    let default = Preprocess::default();
    for shape in [&[1, 3, 224, 224][..], &[1, 10], &[2, 8, 8, 3], &[1, 8, 8, 4], &[1, 0, 8, 3], &[]]
    {
        let (code, message) = refused(shape, DataType::UInt8, &default);
        assert_eq!(code, ErrorCode::UnsupportedType);
        assert!(message.contains(&format!("input tensor \"input\" has shape {shape:?}")));
    }
    let (_, message) = refused(&[1, 3, 224, 224], DataType::Float32, &default);
    assert!(message.contains("channels before height and width"), "{message}");
    let mut open = common::tensor(DataType::UInt8, &[1, 1, 1, 3], None);
    open.dynamic = vec![true, true, true, false];
    let error = Preprocessor::new(&open, None, &default).unwrap_err();
    assert!(error.message.contains("left open"), "{error}");
    open.dynamic = vec![true, false, false, false];
    assert!(Preprocessor::new(&open, None, &default).is_ok());
    let mut sized = common::tensor(DataType::UInt8, &[1, 8, 8, 3], None);
    sized.dynamic = vec![true, true, true, false];
    assert!(Preprocessor::new(&sized, None, &default).is_ok());
}

#[test]
fn options_that_do_not_fit_the_input() {
    let three = [1, 8, 8, 3];
    let options = Preprocess { mean: Some(vec![1.0, 2.0]), ..Default::default() };
    assert_eq!(
        refused(&three, DataType::Float32, &options),
        (
            ErrorCode::InvalidOption,
            "preprocess.mean: the input has 3 channels, so give 1 or 3 values; 2 given".into()
        )
    );
    let options = Preprocess { channels: Some(Channels::Gray), ..Default::default() };
    assert_eq!(
        refused(&three, DataType::UInt8, &options),
        (
            ErrorCode::InvalidOption,
            "preprocess.channels: GRAY does not fit input tensor \"input\" with 3 channels".into()
        )
    );
    let options = Preprocess { channels: Some(Channels::Bgr), ..Default::default() };
    assert_eq!(refused(&[1, 8, 8, 1], DataType::UInt8, &options).0, ErrorCode::InvalidOption);
    let nothing = refused(&three, DataType::Float32, &Preprocess::default());
    assert_eq!(nothing.0, ErrorCode::MetadataMissing);
}

#[test]
fn metadata_and_caller_share_the_normalisation() {
    let tensor = common::tensor(DataType::Float32, &[1, 1, 1, 3], None);
    let run = |metadata: Option<&Normalization>, options: &Preprocess| -> Result<Vec<f32>> {
        let mut out = [0; 12];
        let mut preprocessor = Preprocessor::new(&tensor, metadata, options)?;
        let picture =
            Picture { pixels: &[10, 20, 30], width: 1, height: 1, format: PixelFormat::Rgb8 };
        preprocessor.run(&picture, &FrameOptions::default(), &mut out)?;
        let values = out.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b));
        Ok(values.collect())
    };
    let metadata = Normalization { mean: vec![10.0], std: vec![2.0, 4.0, 5.0] };
    let set = |mean: Option<&[f32]>, std: Option<&[f32]>| Preprocess {
        mean: mean.map(<[f32]>::to_vec),
        std: std.map(<[f32]>::to_vec),
        ..Default::default()
    };
    assert_eq!(run(Some(&metadata), &set(None, None)), Ok(vec![0.0, 2.5, 4.0]));
    assert_eq!(run(Some(&metadata), &set(Some(&[0.0]), None)), Ok(vec![5.0, 5.0, 6.0]));
    assert_eq!(run(None, &set(Some(&[0.0, 20.0, 20.0]), None)), Ok(vec![10.0, 0.0, 10.0]));
    assert_eq!(run(None, &set(None, Some(&[10.0]))), Ok(vec![1.0, 2.0, 3.0]));
    // Values in the tensor's order: blue first.
    let bgr =
        Preprocess { channels: Some(Channels::Bgr), ..set(Some(&[30.0, 0.0, 0.0]), Some(&[1.0])) };
    assert_eq!(run(Some(&metadata), &bgr), Ok(vec![0.0, 20.0, 10.0]));
    let broken = Normalization { mean: vec![1.0; 2], std: vec![1.0] };
    assert_eq!(run(Some(&broken), &set(None, None)).unwrap_err().code, ErrorCode::ModelFormat);
    assert!(run(Some(&broken), &set(Some(&[0.0]), Some(&[1.0]))).is_ok());
}
