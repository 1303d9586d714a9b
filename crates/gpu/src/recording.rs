//! What a page plays on a GPU, as plain data.

use std::fmt::Write;
use std::ops::Range;

/// A network as shaders, buffers and dispatches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// WGSL, each text once.
    pub shaders: Vec<String>,
    /// Entry points: all are called `main`.
    pub pipelines: Vec<Pipeline>,
    /// In order of execution.
    pub dispatches: Vec<Dispatch>,
    /// Weights, biases, tables; each begins on [`ALIGNMENT`] bytes.
    pub weights: Vec<u8>,
    /// Parameters of dispatches, bound as uniforms; each begins on [`ALIGNMENT`] bytes.
    pub params: Vec<u8>,
    /// The size of the buffer that holds all activations.
    pub arena_bytes: usize,
    /// The largest range that is bound.
    pub largest_binding_bytes: usize,
    /// By input of the model: where its elements are written.
    pub inputs: Vec<Transfer>,
    /// What is read back.
    pub outputs: Vec<Transfer>,
    /// Whether shaders multiply packed bytes (`packed_4x8_integer_dot_product`).
    pub needs_packed_dot: bool,
    /// A `.tflite` file of what the CPU computes after the GPU. Its inputs are [`Recording::outputs`],
    /// its outputs those of the model.
    pub tail: Option<Vec<u8>>,
    /// By output of the model, where there is no tail: the place in [`Recording::outputs`].
    pub result_places: Vec<usize>,
    /// Multiplications with an addition, of convolutions and dense layers.
    pub macs: u64,
}

/// Offsets into buffers that may be bound: WebGPU's default limit.
pub const ALIGNMENT: usize = 256;

/// A shader with the kinds of its bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipeline {
    /// The place among the shaders.
    pub shader: usize,
    /// By binding: `p` parameters, `w` weights, `a` a range of the arena.
    pub layout: String,
}

/// One call of a shader.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// The place among the pipelines.
    pub pipeline: usize,
    /// Work-groups in each dimension.
    pub groups: [u32; 3],
    /// By binding: bytes of the buffer that the layout names.
    pub bindings: Vec<Range<usize>>,
    /// TensorFlow Lite's name of the operator.
    pub operator: &'static str,
    /// The name of the tensor that it writes.
    pub name: String,
}

/// Elements that are uploaded or read back, as they are in the model's tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The offset in the arena.
    pub offset: usize,
    /// Bytes; what is copied is rounded up to 4.
    pub bytes: usize,
}

impl Recording {
    /// All but the blobs, as JSON.
    pub fn to_json(&self) -> String {
        let mut json = Json::default();
        json.open('{');
        json.key("shaders").list(&self.shaders, |json, text| {
            json.text(text);
        });
        json.key("pipelines").list(&self.pipelines, |json, pipeline| {
            json.open('[').number(pipeline.shader).text(&pipeline.layout).close(']');
        });
        json.key("dispatches").list(&self.dispatches, |json, dispatch| {
            json.open('[').number(dispatch.pipeline).open('[');
            for count in dispatch.groups {
                json.number(count as usize);
            }
            json.close(']').list(&dispatch.bindings, |json, range| {
                json.open('[').number(range.start).number(range.len()).close(']');
            });
            json.text(dispatch.operator);
            json.text(&dispatch.name);
            json.close(']');
        });
        json.key("arenaBytes").number(self.arena_bytes);
        json.key("largestBindingBytes").number(self.largest_binding_bytes);
        json.key("needsPackedDot").number(usize::from(self.needs_packed_dot));
        json.key("resultPlaces").list(&self.result_places, |json, &place| {
            json.number(place);
        });
        for (name, transfers) in [("inputs", &self.inputs), ("outputs", &self.outputs)] {
            json.key(name).list(transfers, |json, transfer| {
                json.open('[').number(transfer.offset).number(transfer.bytes).close(']');
            });
        }
        json.close('}');
        json.text
    }
}

/// JSON as it is written; commas come by themselves.
#[derive(Default)]
struct Json {
    text: String,
}

impl Json {
    fn comma(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(['[', '{', ':']) {
            self.text.push(',');
        }
    }

    fn open(&mut self, bracket: char) -> &mut Self {
        self.comma();
        self.text.push(bracket);
        self
    }

    fn close(&mut self, bracket: char) -> &mut Self {
        self.text.push(bracket);
        self
    }

    fn key(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.text.push(':');
        self
    }

    fn number(&mut self, number: usize) -> &mut Self {
        self.comma();
        let _ = write!(self.text, "{number}");
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.comma();
        self.text.push('"');
        for c in text.chars() {
            match c {
                '"' | '\\' => self.text.extend(['\\', c]),
                '\n' => self.text.push_str("\\n"),
                c if u32::from(c) < 0x20 => {
                    let _ = write!(self.text, "\\u{:04x}", u32::from(c));
                }
                c => self.text.push(c),
            }
        }
        self.text.push('"');
        self
    }

    fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.open('[');
        for item in items {
            write(self, item);
        }
        self.close(']')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tensors_are_escaped() {
        let mut recording = Recording::default();
        recording.shaders.push("a\n\"b\"\\\u{1}".to_owned());
        recording.inputs.push(Transfer { offset: 256, bytes: 3 });
        assert!(recording.to_json().starts_with(
            r#"{"shaders":["a\n\"b\"\\\u0001"],"pipelines":[],"dispatches":[],"arenaBytes":0,"#
        ));
        assert!(recording.to_json().ends_with(r#""inputs":[[256,3]],"outputs":[]}"#));
    }
}
