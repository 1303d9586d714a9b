//! Writes `.tflite` files field by field, right or wrong, with the flatbuffers crate's builder.
#![allow(dead_code)] // each test file uses a part

pub mod tiny;
pub mod zip;

use flatbuffers::{FlatBufferBuilder, TableFinishedWIPOffset, UnionWIPOffset, WIPOffset};

type Fbb = FlatBufferBuilder<'static>;
type Table = WIPOffset<TableFinishedWIPOffset>;

/// A field of an options table.
#[derive(Clone, Debug)]
pub enum Value {
    Byte(u8),
    Int(i32),
    Float(f32),
    Ints(Vec<i32>),
    Floats(Vec<f32>),
}

/// Numbers and values of the fields of a table.
pub type Fields = Vec<(u16, Value)>;

/// `QuantizationParameters`.
#[derive(Clone, Debug, Default)]
pub struct QuantizationSpec {
    pub scale: Vec<f32>,
    pub zero_point: Vec<i64>,
    pub dimension: i32,
}

/// `Tensor` with its `Buffer`.
#[derive(Clone, Debug, Default)]
pub struct TensorSpec {
    pub name: &'static str,
    pub dtype: u8,
    pub shape: Vec<i32>,
    pub signature: Vec<i32>,
    pub data: Option<Vec<u8>>,
    /// Instead of `data`: offset and size in the file.
    pub external: Option<(u64, u64)>,
    pub quantization: Option<QuantizationSpec>,
    pub is_variable: bool,
    pub is_sparse: bool,
}

pub const FLOAT32: u8 = 0;
pub const FLOAT16: u8 = 1;
pub const INT32: u8 = 2;
pub const UINT8: u8 = 3;
pub const STRING: u8 = 5;
pub const INT8: u8 = 9;

impl TensorSpec {
    pub fn new(name: &'static str, dtype: u8, shape: &[i32]) -> Self {
        Self { name, dtype, shape: shape.to_vec(), ..Self::default() }
    }

    pub fn quantized(mut self, scale: f32, zero_point: i64) -> Self {
        self.quantization = Some(QuantizationSpec {
            scale: vec![scale],
            zero_point: vec![zero_point],
            dimension: 0,
        });
        self
    }

    pub fn per_channel(mut self, scale: &[f32], dimension: i32) -> Self {
        self.quantization = Some(QuantizationSpec {
            scale: scale.to_vec(),
            zero_point: vec![0; scale.len()],
            dimension,
        });
        self
    }

    pub fn data(mut self, data: Vec<u8>) -> Self {
        self.data = Some(data);
        self
    }

    pub fn integers(self, values: &[i32]) -> Self {
        self.data(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    pub fn floats(self, values: &[f32]) -> Self {
        self.data(values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }
}

/// `Operator` with its `OperatorCode`.
#[derive(Clone, Debug, Default)]
pub struct NodeSpec {
    pub code: i32,
    pub version: i32,
    pub custom: &'static str,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub options: Option<(u8, Fields)>,
}

impl NodeSpec {
    pub fn new(code: i32, inputs: &[i32], outputs: &[i32]) -> Self {
        Self {
            code,
            version: 1,
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            ..Self::default()
        }
    }

    pub fn options(mut self, kind: u8, fields: Fields) -> Self {
        self.options = Some((kind, fields));
        self
    }

    pub fn version(mut self, version: i32) -> Self {
        self.version = version;
        self
    }
}

/// A label file of the metadata.
#[derive(Clone, Debug)]
pub struct FileSpec {
    pub name: &'static str,
    pub kind: i8,
    pub locale: &'static str,
}

/// `TensorMetadata`.
#[derive(Clone, Debug, Default)]
pub struct TensorMetadataSpec {
    pub name: &'static str,
    pub description: &'static str,
    pub units: Vec<(u8, Fields)>,
    pub files: Vec<FileSpec>,
}

/// `ModelMetadata` with one subgraph.
#[derive(Clone, Debug, Default)]
pub struct MetadataSpec {
    pub strings: [&'static str; 5],
    pub inputs: Vec<TensorMetadataSpec>,
    pub outputs: Vec<TensorMetadataSpec>,
    pub identifier: Option<&'static str>,
}

/// `SignatureDef` of the main subgraph: names with tensor indices.
#[derive(Clone, Debug, Default)]
pub struct SignatureSpec {
    pub key: &'static str,
    pub inputs: Vec<(&'static str, u32)>,
    pub outputs: Vec<(&'static str, u32)>,
}

/// `Model`.
#[derive(Clone, Debug)]
pub struct ModelSpec {
    pub version: u32,
    pub description: &'static str,
    pub tensors: Vec<TensorSpec>,
    pub nodes: Vec<NodeSpec>,
    pub inputs: Vec<i32>,
    pub outputs: Vec<i32>,
    pub signature: Option<SignatureSpec>,
    pub metadata: Option<MetadataSpec>,
    /// Empty subgraphs behind the main one.
    pub further_subgraphs: usize,
    /// Codes in the new field only, as some writers do.
    pub new_code_field_only: bool,
    pub archive: Vec<u8>,
}

impl Default for ModelSpec {
    fn default() -> Self {
        Self {
            version: 3,
            description: "",
            tensors: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            signature: None,
            metadata: None,
            further_subgraphs: 0,
            new_code_field_only: false,
            archive: Vec::new(),
        }
    }
}

pub const fn slot(field: u16) -> u16 {
    4 + 2 * field
}

fn fields(fbb: &mut Fbb, fields: &Fields) -> Table {
    let offsets: Vec<Option<WIPOffset<UnionWIPOffset>>> = fields
        .iter()
        .map(|(_, value)| match value {
            Value::Ints(values) => Some(fbb.create_vector(values).as_union_value()),
            Value::Floats(values) => Some(fbb.create_vector(values).as_union_value()),
            _ => None,
        })
        .collect();
    let table = fbb.start_table();
    for ((field, value), offset) in fields.iter().zip(offsets) {
        match (value, offset) {
            (Value::Byte(value), _) => fbb.push_slot(slot(*field), *value, 0),
            (Value::Int(value), _) => fbb.push_slot(slot(*field), *value, 0),
            (Value::Float(value), _) => fbb.push_slot(slot(*field), *value, 0.0),
            (_, Some(offset)) => fbb.push_slot_always(slot(*field), offset),
            (_, None) => unreachable!(),
        }
    }
    fbb.end_table(table)
}

fn quantization(fbb: &mut Fbb, spec: &QuantizationSpec) -> Table {
    let scale = fbb.create_vector(&spec.scale);
    let zero_point = fbb.create_vector(&spec.zero_point);
    let table = fbb.start_table();
    fbb.push_slot_always(slot(2), scale);
    fbb.push_slot_always(slot(3), zero_point);
    fbb.push_slot(slot(6), spec.dimension, 0);
    fbb.end_table(table)
}

fn tensor(fbb: &mut Fbb, spec: &TensorSpec, buffer: u32) -> Table {
    let shape = fbb.create_vector(&spec.shape);
    let name = fbb.create_string(spec.name);
    let quantization = spec.quantization.as_ref().map(|spec| quantization(fbb, spec));
    let sparsity = spec.is_sparse.then(|| fields(fbb, &vec![]));
    let signature = (!spec.signature.is_empty()).then(|| fbb.create_vector(&spec.signature));
    let table = fbb.start_table();
    fbb.push_slot_always(slot(0), shape);
    fbb.push_slot(slot(1), spec.dtype, 0);
    fbb.push_slot(slot(2), buffer, 0);
    fbb.push_slot_always(slot(3), name);
    if let Some(quantization) = quantization {
        fbb.push_slot_always(slot(4), quantization);
    }
    fbb.push_slot(slot(5), spec.is_variable, false);
    if let Some(sparsity) = sparsity {
        fbb.push_slot_always(slot(6), sparsity);
    }
    if let Some(signature) = signature {
        fbb.push_slot_always(slot(7), signature);
    }
    fbb.end_table(table)
}

fn buffer(fbb: &mut Fbb, data: Option<&[u8]>, external: Option<(u64, u64)>) -> Table {
    let data = data.map(|data| fbb.create_vector(data));
    let table = fbb.start_table();
    if let Some(data) = data {
        fbb.push_slot_always(slot(0), data);
    }
    if let Some((offset, size)) = external {
        fbb.push_slot(slot(1), offset, 0);
        fbb.push_slot(slot(2), size, 0);
    }
    fbb.end_table(table)
}

fn operator_code(fbb: &mut Fbb, spec: &NodeSpec, new_field_only: bool) -> Table {
    let custom = (!spec.custom.is_empty()).then(|| fbb.create_string(spec.custom));
    let table = fbb.start_table();
    if !new_field_only {
        fbb.push_slot(slot(0), i8::try_from(spec.code).unwrap_or(127), 0);
    }
    if let Some(custom) = custom {
        fbb.push_slot_always(slot(1), custom);
    }
    fbb.push_slot(slot(2), spec.version, 1);
    if new_field_only || spec.code > 126 {
        fbb.push_slot(slot(3), spec.code, 0);
    }
    fbb.end_table(table)
}

fn operator(fbb: &mut Fbb, spec: &NodeSpec, code: u32) -> Table {
    let inputs = fbb.create_vector(&spec.inputs);
    let outputs = fbb.create_vector(&spec.outputs);
    let options = spec.options.as_ref().map(|(kind, spec)| (*kind, fields(fbb, spec)));
    let table = fbb.start_table();
    fbb.push_slot(slot(0), code, 0);
    fbb.push_slot_always(slot(1), inputs);
    fbb.push_slot_always(slot(2), outputs);
    if let Some((kind, options)) = options {
        fbb.push_slot(slot(3), kind, 0);
        fbb.push_slot_always(slot(4), options);
    }
    fbb.end_table(table)
}

fn tensor_maps(fbb: &mut Fbb, maps: &[(&str, u32)]) -> WIPOffset<UnionWIPOffset> {
    let maps: Vec<Table> = maps
        .iter()
        .map(|(name, index)| {
            let name = fbb.create_string(name);
            let table = fbb.start_table();
            fbb.push_slot_always(slot(0), name);
            fbb.push_slot(slot(1), *index, 0);
            fbb.end_table(table)
        })
        .collect();
    fbb.create_vector(&maps).as_union_value()
}

fn tensor_metadata(fbb: &mut Fbb, specs: &[TensorMetadataSpec]) -> WIPOffset<UnionWIPOffset> {
    let tables: Vec<Table> = specs
        .iter()
        .map(|spec| {
            let name = fbb.create_string(spec.name);
            let description = fbb.create_string(spec.description);
            let units: Vec<Table> = spec
                .units
                .iter()
                .map(|(kind, options)| {
                    let options = fields(fbb, options);
                    let table = fbb.start_table();
                    fbb.push_slot(slot(0), *kind, 0);
                    fbb.push_slot_always(slot(1), options);
                    fbb.end_table(table)
                })
                .collect();
            let units = fbb.create_vector(&units);
            let files: Vec<Table> = spec
                .files
                .iter()
                .map(|file| {
                    let name = fbb.create_string(file.name);
                    let locale = fbb.create_string(file.locale);
                    let table = fbb.start_table();
                    fbb.push_slot_always(slot(0), name);
                    fbb.push_slot(slot(2), file.kind, 0);
                    fbb.push_slot_always(slot(3), locale);
                    fbb.end_table(table)
                })
                .collect();
            let files = fbb.create_vector(&files);
            let table = fbb.start_table();
            fbb.push_slot_always(slot(0), name);
            fbb.push_slot_always(slot(1), description);
            fbb.push_slot_always(slot(4), units);
            fbb.push_slot_always(slot(6), files);
            fbb.end_table(table)
        })
        .collect();
    fbb.create_vector(&tables).as_union_value()
}

impl MetadataSpec {
    /// The metadata's own FlatBuffer.
    pub fn build(&self) -> Vec<u8> {
        let mut fbb = Fbb::new();
        let strings = self.strings.map(|text| fbb.create_string(text));
        let inputs = tensor_metadata(&mut fbb, &self.inputs);
        let outputs = tensor_metadata(&mut fbb, &self.outputs);
        let table = fbb.start_table();
        fbb.push_slot_always(slot(2), inputs);
        fbb.push_slot_always(slot(3), outputs);
        let graph = fbb.end_table(table);
        let graphs = fbb.create_vector(&[graph]);
        let table = fbb.start_table();
        for (field, text) in [0, 1, 2, 4, 5].into_iter().zip(strings) {
            fbb.push_slot_always(slot(field), text);
        }
        fbb.push_slot_always(slot(3), graphs);
        let root = fbb.end_table(table);
        fbb.finish(root, Some(self.identifier.unwrap_or("M001")));
        fbb.finished_data().to_vec()
    }
}

impl ModelSpec {
    /// The bytes of the file.
    pub fn build(&self) -> Vec<u8> {
        let mut fbb = Fbb::new();
        let mut buffers = vec![buffer(&mut fbb, None, None)];
        let mut tensors = Vec::new();
        for spec in &self.tensors {
            let index = if spec.data.is_some() || spec.external.is_some() {
                buffers.push(buffer(&mut fbb, spec.data.as_deref(), spec.external));
                u32::try_from(buffers.len()).unwrap() - 1
            } else {
                0
            };
            tensors.push(tensor(&mut fbb, spec, index));
        }
        let mut codes = Vec::new();
        let mut operators = Vec::new();
        for (index, spec) in self.nodes.iter().enumerate() {
            codes.push(operator_code(&mut fbb, spec, self.new_code_field_only));
            operators.push(operator(&mut fbb, spec, u32::try_from(index).unwrap()));
        }
        let metadata = self.metadata.as_ref().map(|metadata| {
            buffers.push(buffer(&mut fbb, Some(&metadata.build()), None));
            let name = fbb.create_string("TFLITE_METADATA");
            let table = fbb.start_table();
            fbb.push_slot_always(slot(0), name);
            fbb.push_slot(slot(1), u32::try_from(buffers.len()).unwrap() - 1, 0);
            let entry = fbb.end_table(table);
            fbb.create_vector(&[entry])
        });
        let signatures = self.signature.as_ref().map(|SignatureSpec { key, inputs, outputs }| {
            let inputs = tensor_maps(&mut fbb, inputs);
            let outputs = tensor_maps(&mut fbb, outputs);
            let key = fbb.create_string(key);
            let table = fbb.start_table();
            fbb.push_slot_always(slot(0), inputs);
            fbb.push_slot_always(slot(1), outputs);
            fbb.push_slot_always(slot(2), key);
            let signature = fbb.end_table(table);
            fbb.create_vector(&[signature])
        });
        let buffers = fbb.create_vector(&buffers);
        let tensors = fbb.create_vector(&tensors);
        let operators = fbb.create_vector(&operators);
        let inputs = fbb.create_vector(&self.inputs);
        let outputs = fbb.create_vector(&self.outputs);
        let table = fbb.start_table();
        fbb.push_slot_always(slot(0), tensors);
        fbb.push_slot_always(slot(1), inputs);
        fbb.push_slot_always(slot(2), outputs);
        fbb.push_slot_always(slot(3), operators);
        let mut graphs = vec![fbb.end_table(table)];
        for _ in 0..self.further_subgraphs {
            graphs.push(fields(&mut fbb, &vec![]));
        }
        let graphs = fbb.create_vector(&graphs);
        let codes = fbb.create_vector(&codes);
        let description = fbb.create_string(self.description);
        let table = fbb.start_table();
        fbb.push_slot(slot(0), self.version, 0);
        fbb.push_slot_always(slot(1), codes);
        fbb.push_slot_always(slot(2), graphs);
        fbb.push_slot_always(slot(3), description);
        fbb.push_slot_always(slot(4), buffers);
        if let Some(metadata) = metadata {
            fbb.push_slot_always(slot(6), metadata);
        }
        if let Some(signatures) = signatures {
            fbb.push_slot_always(slot(7), signatures);
        }
        let root = fbb.end_table(table);
        fbb.finish(root, Some("TFL3"));
        let mut bytes = fbb.finished_data().to_vec();
        bytes.extend(&self.archive);
        bytes
    }
}
