import { crc32, inflateRawSync } from "node:zlib";

/** The files of a ZIP archive by path, read by its list at the end; throws for one that is cut off or wrong anywhere. */
export function unzip(archive: Buffer): Map<string, Buffer> {
  const end = archive.lastIndexOf(Buffer.from("PK\x05\x06", "latin1"));
  if (end < 0) throw new Error("The archive has no end.");
  const count = archive.readUInt16LE(end + 10);
  let at = archive.readUInt32LE(end + 16);
  const files = new Map<string, Buffer>();
  for (let n = 0; n < count; n++) {
    if (archive.toString("latin1", at, at + 4) !== "PK\x01\x02") throw new Error("The list of files is broken.");
    const [method, sum] = [archive.readUInt16LE(at + 10), archive.readUInt32LE(at + 16)];
    const packed = archive.readUInt32LE(at + 20);
    const lengths = [28, 30, 32].map((offset) => archive.readUInt16LE(at + offset));
    const [nameLength = 0, extraLength = 0, commentLength = 0] = lengths;
    const path = archive.toString("utf8", at + 46, at + 46 + nameLength);
    const local = archive.readUInt32LE(at + 42);
    const start = local + 30 + archive.readUInt16LE(local + 26) + archive.readUInt16LE(local + 28);
    const bytes = archive.subarray(start, start + packed);
    const content = method === 8 ? inflateRawSync(bytes) : Buffer.from(bytes);
    if (crc32(content) !== sum) throw new Error(`${path} is damaged.`);
    if (files.has(path)) throw new Error(`${path} is there twice.`);
    files.set(path, content);
    at += 46 + nameLength + extraLength + commentLength;
  }
  return files;
}
