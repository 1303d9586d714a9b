// Comparing embeddings.
import { AchadoError } from "./errors.js";

/**
 * How alike two embeddings of one model are: the cosine of the angle between them, from -1 to 1.
 *
 * @throws {AchadoError} INVALID_INPUT for vectors of different lengths, and for zero vectors
 */
export function cosineSimilarity(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length || a.length === 0) {
    throw new AchadoError(
      "INVALID_INPUT",
      `embeddings of ${a.length} and ${b.length} values cannot be compared`,
      { lengths: [a.length, b.length] },
    );
  }
  let [dot, normA, normB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    dot += x * y;
    normA += x * x;
    normB += y * y;
  }
  if (normA === 0 || normB === 0) {
    throw new AchadoError("INVALID_INPUT", "an embedding of zeros has no direction to compare");
  }
  return dot / Math.sqrt(normA * normB);
}
