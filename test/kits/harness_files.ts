import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import type { FrameFile } from '../../src/protocol/frames.ts';
import { message, pause } from './harness_bench.ts';
import { type ModelSubject, Scene } from './harness_kit.ts';

/** The conformance kit of harnesses, third part: what came with a message, for every harness that asks a model. */

type Kind = 'image/png' | 'application/pdf' | 'text/plain';

/** Bytes that no other file has, so that a request that holds them is recognised by their base64. */
function bytesOf(kind: Kind, size: number): Buffer {
  switch (kind) {
    case 'image/png':
      return pngOf(size);
    case 'application/pdf':
      return Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(size)]);
    case 'text/plain':
      return Buffer.from(randomBytes(size).toString('hex'));
  }
}

/** A true image of so many grey pixels: a harness may look into it before it shows it. */
function pngOf(pixels: number): Buffer {
  const side = Math.ceil(Math.sqrt(pixels));
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header[8] = 8;
  const rows = Buffer.concat(Array.from({ length: side }, () => Buffer.concat([Buffer.of(0), randomBytes(side)])));
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, part('IHDR', header), part('IDAT', deflateSync(rows)), part('IEND', Buffer.of())]);
}

/** A few hundred bytes that unpack to a million zeros, and say that they are an image of any size. */
function bombOf(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  const data = deflateSync(Buffer.alloc(1_000_000));
  return Buffer.concat([signature, part('IHDR', header), part('IDAT', data), part('IEND', Buffer.of())]);
}

function part(name: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, checksum]);
}

interface Sent {
  frame: FrameFile;
  base64: string;
}

/** Puts a file where the host would have put it. */
function placed(scene: Scene, name: string, type: Kind, size = 600): Sent {
  const bytes = bytesOf(type, size);
  const folder = join(scene.place.root, 'inbox');
  mkdirSync(folder, { recursive: true });
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return { frame: { path, type, bytes: bytes.length, lost: false }, base64: bytes.toString('base64') };
}

const LARGE_BYTES = 3_500_000;

export function harnessFilesKit(subject: ModelSubject): void {
  /** The request that asked for the newest answer. */
  const last = (scene: Scene): string =>
    scene.model.requests.findLast(({ json }) => (json.tools ?? []).length > 0)!.body;

  describe(`the harness ${subject.name} and files`, () => {
    test('images are shown to the model as they are, now and in later turns; other files by their names', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      const [image, text] = [placed(scene, 'photo.png', 'image/png'), placed(scene, 'notes.txt', 'text/plain')];
      const done = await opened.turn([message(1, 'look', [image.frame, text.frame])]);
      assert.equal(done.outcome, 'answered', done.text);
      for (const shown of [image.base64, image.frame.path, text.frame.path]) assert.ok(last(scene).includes(shown));
      assert.ok(!last(scene).includes(text.base64));
      await opened.turn([message(2, 'and now')]);
      assert.ok(last(scene).includes(image.base64));
      const resumed = await scene.open((await opened.turn([message(3, 'still')])).resume);
      assert.equal((await resumed.turn([message(4, 'again')])).outcome, 'answered');
      assert.ok(last(scene).includes(image.base64));
    });

    test('a document is shown where the model’s API takes one, and named where it does not', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      const document = placed(scene, 'paper.pdf', 'application/pdf');
      const done = await opened.turn([message(1, 'read', [document.frame])]);
      assert.equal(done.outcome, 'answered', done.text);
      assert.ok(last(scene).includes(document.frame.path));
      assert.equal(last(scene).includes(document.base64), subject.documents);
    });

    test('an image that joins a running turn is in the request that takes it', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      const image = placed(scene, 'late.png', 'image/png');
      const done = opened.turn([message(1, subject.words.busy(0.6))]);
      await opened.until((event) => event.kind === 'taken');
      await pause(200);
      opened.harness.join([message(2, 'and this', [image.frame])]);
      assert.equal((await done).outcome, 'answered');
      assert.deepEqual(opened.taken(), [1, 2]);
      assert.ok(last(scene).includes(image.base64));
    });

    test('a file that is lost, gone, or became a link is named, and the turn is answered', async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      const [lost, gone, link] = ['lost.png', 'gone.png', 'link.png'].map((name) => placed(scene, name, 'image/png'));
      lost!.frame.lost = true;
      rmSync(gone!.frame.path);
      rmSync(link!.frame.path);
      symlinkSync('/etc/hostname', link!.frame.path);
      const done = await opened.turn([message(1, 'look', [lost!.frame, gone!.frame, link!.frame])]);
      assert.equal(done.outcome, 'answered', done.text);
      for (const { frame, base64 } of [lost!, gone!, link!]) {
        assert.ok(last(scene).includes(frame.path));
        assert.ok(!last(scene).includes(base64));
      }
      assert.ok(last(scene).includes('(lost)'));
    });

    for (const [what, bytes, line] of [
      [
        'says that it has 50,000 by 50,000 pixels',
        bombOf(50_000, 50_000),
        /50000×50000 pixels, more than 8000 on a side/,
      ],
      ['says that it has one line of 8,001 pixels', bombOf(8001, 1), /8001×1 pixels/],
      [
        'is none after its first bytes',
        Buffer.from('\x89PNG\r\n\x1a\nnothing more', 'latin1'),
        /is not that of an image/,
      ],
    ] as const)
      test(`an image that ${what} is told of, never shown; others are`, async () => {
        await using scene = await Scene.of(subject);
        const opened = await scene.open();
        const [bomb, image] = [placed(scene, 'bomb.png', 'image/png'), placed(scene, 'photo.png', 'image/png')];
        writeFileSync(bomb.frame.path, bytes);
        bomb.frame.bytes = bytes.length;
        const done = await opened.turn([message(1, 'look', [bomb.frame, image.frame])]);
        assert.equal(done.outcome, 'answered', done.text);
        assert.match(last(scene), line);
        assert.ok(!last(scene).includes(bytes.toString('base64')) && last(scene).includes(image.base64));
        assert.equal((await opened.turn([message(2, 'and now')])).outcome, 'answered');
        assert.ok(!last(scene).includes(bytes.toString('base64')));
      });

    test('more images than one request takes are answered all the same', { timeout: 120_000 }, async () => {
      await using scene = await Scene.of(subject);
      const opened = await scene.open();
      for (let id = 1; id <= 8; id += 1) {
        const image = placed(scene, `large-${id}.png`, 'image/png', LARGE_BYTES);
        const done = await opened.turn([message(id, `image ${id}`, [image.frame])]);
        assert.equal(done.outcome, 'answered', done.text);
        assert.ok(Buffer.byteLength(last(scene)) < 28 * 2 ** 20, `${Buffer.byteLength(last(scene))} bytes`);
        assert.ok(last(scene).includes(image.frame.path));
      }
    });
  });
}
