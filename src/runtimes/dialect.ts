/**
 * Where engines that answer to the Docker Engine API differ, as data. Seen on Docker 20.10 and Podman 4.3; each field says
 * what happened without it.
 */
export interface Dialect {
  name: 'docker' | 'podman';
  /** What to do when nobody answers. */
  fix: string;
  /** How the system call filter is given: Podman takes the text of a profile for a file's name. */
  seccomp: 'inline' | 'file';
  /** Podman copies the host's `/etc/hosts` and `resolv.conf`, with network `none` too: these files are bound over. */
  covered: string[];
  /** Podman mounts these writable and of any size in a read-only container. */
  closed: string[];
  /**
   * Podman asks for its own RLIMIT_NPROC, which a service without CAP_SYS_RESOURCE cannot give ("error setting rlimit
   * type 6"); one that is asked for replaces it.
   */
  limitsUserProcesses: boolean;
  /**
   * `request`: each container may name its OCI runtime. `service`: Podman ignores the name, without a word, and takes the
   * one that its service was started with.
   */
  ociRuntime: 'request' | 'service';
  /** Whether the end of a container says that the kernel ended it for lack of memory; Podman under control groups v1 does not. */
  tellsOutOfMemory: boolean;
}

export const DOCKER: Dialect = {
  name: 'docker',
  fix: 'install docker.io, or start it',
  seccomp: 'inline',
  covered: [],
  closed: [],
  limitsUserProcesses: false,
  ociRuntime: 'request',
  tellsOutOfMemory: true,
};

export const PODMAN: Dialect = {
  name: 'podman',
  fix: 'install podman and catatonit, and start its service (systemctl enable --now podman.socket)',
  seccomp: 'file',
  covered: ['hosts', 'resolv.conf'],
  closed: ['/run', '/var/tmp'],
  limitsUserProcesses: true,
  ociRuntime: 'service',
  tellsOutOfMemory: false,
};
