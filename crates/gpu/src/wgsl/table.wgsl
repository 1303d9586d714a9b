// A table of 256 bytes for each element: a thread makes 4.
struct Params { quads: u32, _a: u32, _b: u32, _c: u32 }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read_write> src: array<u32>;
@group(0) @binding(2) var<storage, read_write> dst: array<u32>;
@group(0) @binding(3) var<storage, read> table: array<u32>;

fn entry(byte: u32) -> u32 { return (table[byte >> 2u] >> ((byte & 3u) * 8u)) & 0xffu; }

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let at = id.x + id.y * 65472u;
  if (at >= p.quads) { return; }
  // Entries are in the order of signed bytes.
  let x = src[at] ^ 0x80808080u;
  dst[at] = entry(x & 0xffu) | (entry((x >> 8u) & 0xffu) << 8u) | (entry((x >> 16u) & 0xffu) << 16u) | (entry(x >> 24u) << 24u);
}
