import { mountWorkspace } from '../../src/runtimes/workspace_image.ts';

/** A host that mounts a workspace: `node workspace_mount.ts <json of a WorkspaceImage>`. It may be killed at any moment. */
process.stdout.write('ready\n');
process.stdin.once('data', async () => {
  await mountWorkspace(JSON.parse(process.argv[2]!));
  process.exit(0);
});
