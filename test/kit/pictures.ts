import { deflateSync } from "node:zlib";
import sharp from "sharp";

/** A picture of one colour, as the formats that browsers send. */
export function picture(
  format: "png" | "jpeg" | "webp" | "gif" | "avif",
  { width = 1000, height = 500, alpha = 1 }: { width?: number; height?: number; alpha?: number } = {},
): Promise<Buffer> {
  const channels = alpha === 1 ? 3 : 4;
  const background = { r: 200, g: 100, b: 50, alpha };
  return sharp({ create: { width, height, channels, background } }).toFormat(format).toBuffer();
}

/** A PNG whose header says that it is as large as this, with little or no data behind it. */
export function hollowPng(width: number, height: number, data: Buffer = deflateSync(Buffer.alloc(100))): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, "latin1"), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  framed.set(body, 4);
  framed.writeUInt32BE(crc(body), body.length + 4);
  return framed;
}

/** As PNG has it. */
function crc(bytes: Buffer): number {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return (value ^ 0xffffffff) >>> 0;
}
