//! Pictures from the order that they are prepared in to that of the network.

/// `[n, h, w, c]` to `[n, c, h, w]`, where an element has `width` bytes.
pub(crate) fn to_channels_first(pixels: &[u8], channels: usize, width: usize, out: &mut [u8]) {
    let pixel_bytes = channels * width;
    let plane_bytes = pixels.len() / channels;
    for (channel, plane) in out.chunks_exact_mut(plane_bytes).enumerate() {
        let place = channel * width..(channel + 1) * width;
        for (out, pixel) in plane.chunks_exact_mut(width).zip(pixels.chunks_exact(pixel_bytes)) {
            out.copy_from_slice(&pixel[place.clone()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_become_planes() {
        let mut out = [0; 6];
        to_channels_first(&[1, 2, 3, 4, 5, 6], 3, 1, &mut out);
        assert_eq!(out, [1, 4, 2, 5, 3, 6]);
        let mut out = [0; 8];
        to_channels_first(&[1, 10, 2, 20, 3, 30, 4, 40], 2, 2, &mut out);
        assert_eq!(out, [1, 10, 3, 30, 2, 20, 4, 40]);
        let mut out = [0; 3];
        to_channels_first(&[7, 8, 9], 1, 1, &mut out);
        assert_eq!(out, [7, 8, 9]);
    }
}
