//! Pictures of a size that was seen just before are prepared without allocating.

#![cfg(not(target_arch = "wasm32"))]

mod common;

use achado_model::DataType;
use achado_vision::{Fit, FrameOptions, Picture, PixelFormat, Preprocess, Preprocessor, Resize};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATIONS: PeakAlloc = PeakAlloc;

#[test]
fn a_repeated_size_allocates_nothing() {
    let pixels = vec![7; 321 * 243 * 4];
    let picture = Picture { pixels: &pixels, width: 321, height: 243, format: PixelFormat::Rgba8 };
    for depth in [1, 3] {
        for (resize, rotation_degrees) in
            [(Resize::Bilinear, 0), (Resize::Bilinear, 90), (Resize::Nearest, 180)]
        {
            let tensor = common::tensor(DataType::UInt8, &[1, 96, 80, depth], None);
            let options =
                Preprocess { fit: Some(Fit::Contain), resize: Some(resize), ..Default::default() };
            let mut preprocessor = Preprocessor::new(&tensor, None, &options).unwrap();
            let frame = FrameOptions { rotation_degrees, ..Default::default() };
            let mut out = vec![0; 96 * 80 * depth];
            preprocessor.run(&picture, &frame, &mut out).unwrap();
            let allocates =
                always_allocates(|| preprocessor.run(&picture, &frame, &mut out).unwrap());
            assert!(!allocates, "{resize:?} {rotation_degrees}");
        }
    }
}

/// Whether memory is allocated in each of several calls: in some, the test's harness may do so in its
/// own thread.
fn always_allocates(mut call: impl FnMut()) -> bool {
    (0..20).all(|_| {
        ALLOCATIONS.reset_peak_usage();
        let before = (ALLOCATIONS.current_usage(), ALLOCATIONS.peak_usage());
        call();
        (ALLOCATIONS.current_usage(), ALLOCATIONS.peak_usage()) != before
    })
}
