//! CAST between element types. Floats are truncated towards zero; what does not fit saturates, and
//! NaN becomes 0; anything but 0 is true.

/// A type that CAST reads.
pub trait CastFrom: Copy {
    /// As a float.
    fn to_f32(self) -> f32;
    /// As an integer.
    fn to_i64(self) -> i64;
    /// As a truth value.
    fn to_bool(self) -> bool;
    /// Whether the type has a fraction.
    const IS_FLOAT: bool;
}

/// A type that CAST writes.
pub trait CastTo: Copy {
    /// From any readable type.
    fn cast<F: CastFrom>(from: F) -> Self;
}

/// A truth value, stored as 0 or 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Bool(pub u8);

impl CastFrom for f32 {
    const IS_FLOAT: bool = true;
    fn to_f32(self) -> f32 {
        self
    }
    fn to_i64(self) -> i64 {
        self as i64
    }
    fn to_bool(self) -> bool {
        self != 0.0
    }
}

impl CastTo for f32 {
    fn cast<F: CastFrom>(from: F) -> f32 {
        from.to_f32()
    }
}

impl CastFrom for Bool {
    const IS_FLOAT: bool = false;
    fn to_f32(self) -> f32 {
        f32::from(u8::from(self.0 != 0))
    }
    fn to_i64(self) -> i64 {
        i64::from(self.0 != 0)
    }
    fn to_bool(self) -> bool {
        self.0 != 0
    }
}

impl CastTo for Bool {
    fn cast<F: CastFrom>(from: F) -> Bool {
        Bool(u8::from(from.to_bool()))
    }
}

macro_rules! integer {
    ($($type:ty)*) => {$(
        impl CastFrom for $type {
            const IS_FLOAT: bool = false;
            fn to_f32(self) -> f32 {
                self as f32
            }
            fn to_i64(self) -> i64 {
                i64::from(self)
            }
            fn to_bool(self) -> bool {
                self != 0
            }
        }

        impl CastTo for $type {
            fn cast<F: CastFrom>(from: F) -> $type {
                // Between integers the high bits are dropped; floats saturate.
                if F::IS_FLOAT { from.to_f32() as $type } else { from.to_i64() as $type }
            }
        }
    )*};
}
integer!(i8 u8 i16 u16 i32 u32 i64);

/// `out = input`, element by element.
pub fn cast<F: CastFrom, T: CastTo>(input: &[F], out: &mut [T]) {
    for (out, &x) in out.iter_mut().zip(input) {
        *out = T::cast(x);
    }
}
