import { access, open } from "node:fs/promises";
import type { Metadata, Sharp } from "sharp";
import { HearthError } from "../../model/errors.ts";
import type { ThumbnailSize } from "../../model/media.ts";

/** A picture that was made. */
export interface Picture {
  bytes: Buffer;
  extension: "jpg" | "webp";
}

/** Pixels of an image: a decoder may need four bytes for each at once. */
const maxPixels = 32 * 2 ** 20;
const seconds = 10;

type SharpModule = typeof import("sharp");
let loaded: Promise<SharpModule> | null = null;

/** The image library, once something needs it: it brings 18 MB of native code. */
async function library(): Promise<SharpModule> {
  loaded ??= import("sharp").then(({ default: sharp }) => {
    // Whatever a file says it is, no other decoder ever sees it: least of all the ones for SVG and PDF.
    sharp.block({ operation: ["VipsForeignLoad"] });
    sharp.unblock({
      operation: ["Jpeg", "Png", "Webp", "Nsgif", "Heif"].map((name) => `VipsForeignLoad${name}`),
    });
    // It remembers nothing, and each picture takes one thread: how many there are at once is decided here.
    sharp.cache(false);
    sharp.concurrency(1);
    return sharp as unknown as SharpModule;
  });
  return loaded;
}

/**
 * Makes a thumbnail of the image in a file, upright and without what else the file tells. What kind of image it is, its
 * bytes say. Of an animation, the first picture. Throws `UNSUPPORTED` for what is no image that can be shown, or takes too
 * long; `TOO_LARGE` for too many pixels; `NOT_FOUND` when the file isn't there any more.
 */
export async function renderThumbnail(path: string, size: ThumbnailSize): Promise<Picture> {
  try {
    return await render(path, size);
  } catch (error) {
    // Whatever it looked like, it tells nothing about the bytes.
    if (await isGone(path)) throw new HearthError("NOT_FOUND", "There is no such file.");
    throw error;
  }
}

async function render(path: string, { width, height, method }: ThumbnailSize): Promise<Picture> {
  if (!(await looksLikeImage(path))) throw unsupported();
  const sharp = (await library()) as unknown as (path: string, options: object) => Sharp;
  const reading = { failOn: "error", limitInputPixels: maxPixels, sequentialRead: true, pages: 1, autoOrient: true };
  try {
    const image = sharp(path, reading).timeout({ seconds });
    const { width: columns, height: lines, hasAlpha }: Metadata = await image.metadata();
    if (columns * lines > maxPixels) throw tooManyPixels();
    const fit = method === "crop" ? "cover" : "inside";
    const small = image.resize({ width, height, fit, withoutEnlargement: true });
    const bytes = await (hasAlpha ? small.webp({ quality: 80 }) : small.jpeg({ quality: 80 })).toBuffer();
    return { bytes, extension: hasAlpha ? "webp" : "jpg" };
  } catch (error) {
    if (error instanceof HearthError) throw error;
    const { message } = error as Error;
    if (/pixel limit|too large/i.test(message)) throw tooManyPixels();
    throw /timeout/i.test(message) ? unsupported("takes too long to be made smaller") : unsupported();
  }
}

function isGone(path: string): Promise<boolean> {
  return access(path).then(
    () => false,
    () => true,
  );
}

function unsupported(problem = "is no image that a thumbnail can be made of"): HearthError {
  return new HearthError("UNSUPPORTED", `The file ${problem}.`);
}

function tooManyPixels(): HearthError {
  return new HearthError("TOO_LARGE", `The image has more than ${maxPixels} pixels.`, { maxPixels });
}

/** Whether a file begins as JPEG, PNG, GIF, WebP or AVIF do. */
async function looksLikeImage(path: string): Promise<boolean> {
  const file = await open(path, "r");
  try {
    const { buffer } = await file.read(Buffer.alloc(16), 0, 16, 0);
    const text = buffer.toString("latin1");
    return /^(\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF....WEBP|....ftypavi[fs])/s.test(text);
  } finally {
    await file.close();
  }
}
