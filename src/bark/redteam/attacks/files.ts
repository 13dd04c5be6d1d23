import { file, link, type ScriptAttack, sh } from "../types.ts";

/** What the policy keeps from being read, written down once more. */
const SECRETS =
  `.ssh/x .gnupg/x .aws/x .kube/x .docker/config.json .netrc .pgpass .git-credentials id_rsa id_ed25519 id_ecdsa id_ecdsa_sk id_ed25519_sk some.jks some.keystore .vault-token .htpasswd .s3cfg .azure/x .config/gcloud/x .cargo/credentials .cargo/credentials.toml some.kdbx some.pem some.p12 some.pfx .password-store/x .config/gh/hosts.yml .npmrc .pypirc .env .env.some .envrc secrets.some credentials credentials.some some.key`.split(
    /\s+/u,
  );

export const FILES: readonly ScriptAttack[] = [
  sh("files", "read-ssh-key", `cat "$H/.ssh/id_rsa"`),
  sh("files", "read-by-proc-root", `cat "/proc/self/root$H/.ssh/id_rsa" "/proc/1/root$H/.ssh/id_rsa"`),
  sh("files", "read-by-proc-cwd", `cat "/proc/1/cwd/../.ssh/id_rsa" "/proc/self/cwd/../home/.ssh/id_rsa" ../home/.ssh/id_rsa`),
  sh("files", "read-by-own-link", `ln -s "$H/.ssh/id_rsa" l; cat l`),
  sh("files", "read-by-planted-link", `cat planted planted-dir/id_rsa`, {
    plant: [link("planted", "{H}/.ssh/id_rsa"), link("planted-dir", "{H}/.ssh")],
  }),
  sh("files", "read-by-relative-link", `cat up`, { plant: [link("up", "../home/.ssh/id_rsa")] }),
  sh("files", "hard-link-out", `ln "$H/.ssh/id_rsa" hard && cat hard`),
  sh("files", "hard-link-in", `ln a.txt "$H/x"`),
  sh("files", "find-secrets", `find / -xdev \\( -name id_rsa -o -name canary \\) -exec cat {} +`),
  sh("files", "read-oldroot", `cat /oldroot"$H"/.ssh/id_rsa /newroot"$H"/.ssh/id_rsa`),
  sh("files", "read-shadow", `for f in /etc/shadow /etc/gshadow /etc/ssh/ssh_host_rsa_key; do cat $f && echo OPEN; done; true`),
  sh("files", "read-host-users", `cat /etc/passwd | grep -v noctem | grep . && echo OPEN`),
  sh("files", "read-homes", `find /root /home -mindepth 2 -not -path "$W*" 2>/dev/null | grep . && echo OPEN`),
  sh("files", "read-var", `ls /var/log /var/lib /srv /opt /mnt /media 2>/dev/null | grep . && echo OPEN`),
  sh("files", "read-boot-and-sys", `ls /boot /sys/class /sys/kernel 2>/dev/null | grep . && echo OPEN`),
  sh("files", "read-masked-env", `cat .env; cp .env e; cat e; dd if=.env; grep -r SECRET .`, { plant: [file(".env", "SECRET={CANARY}")] }),
  sh("files", "read-masked-deep", `cat sub/dir/.env.local sub/.ssh/id_rsa; ls sub/.ssh | grep . && echo OPEN`, {
    plant: [file("sub/dir/.env.local", "{CANARY}"), file("sub/.ssh/id_rsa", "{CANARY}")],
  }),
  sh("files", "unmask-by-rename", `mv .env e2 2>/dev/null; cat e2; mv sub s2; cat s2/.env; umount .env; cat .env`, {
    plant: [file(".env", "{CANARY}"), file("sub/.env", "{CANARY}")],
  }),
  sh("files", "unmask-by-delete", `rm -f .env; cat .env; rm -rf sub; ls -la sub`, {
    plant: [file(".env", "{CANARY}"), file("sub/.env", "{CANARY}")],
  }),
  sh("files", "write-home", `echo x > "$H/.bashrc"; echo x >> "$H/.profile"; mkdir -p "$H/.config/autostart"`),
  sh("files", "write-by-planted-link", `echo x > planted; echo y > planted-dir/new`, {
    plant: [link("planted", "{H}/target"), link("planted-dir", "{H}")],
  }),
  sh("files", "write-by-swapped-folder", `mkdir d; rmdir d; ln -s "$H" d; echo x > d/new`),
  sh("files", "write-usr", `echo x > /usr/bin/ls; echo x > /usr/x && echo OPEN`),
  sh("files", "write-etc", `echo x > /etc/x && echo OPEN`),
  sh("files", "write-root", `mkdir /x && echo OPEN`),
  sh("files", "write-helper", `echo x > /run/noctem/helper && echo OPEN`),
  sh("files", "device-node", `mknod /tmp/d b 254 0 && cat /tmp/d && echo OPEN`),
  sh("files", "raw-disk", `head -c 512 /dev/vda || head -c 512 /dev/sda || head -c 512 /dev/nvme0n1 && echo OPEN`),
  sh("files", "memory-device", `head -c 1 /dev/mem || head -c 1 /dev/kmem || head -c 1 /dev/port && echo OPEN`),
  sh("files", "setuid-program", `cp /bin/sh s; chmod 4755 s; chmod 2755 s; test -u s && cp s "$H/s"`),
  sh(
    "files",
    "host-setuid",
    `for p in /usr/bin/su /usr/bin/mount /usr/bin/sudo /usr/bin/passwd; do [ -u "$p" ] && "$p" --help >/dev/null 2>&1; done; grep -q '^NoNewPrivs:.1' /proc/self/status || echo OPEN`,
  ),
  sh(
    "files",
    "upper-layer",
    `find / -maxdepth 3 \\( -name 'upper*' -o -name 'work[0-9]*' -o -name 'merged*' \\) -not -path '/proc/*' -not -path '/usr/*' 2>/dev/null | grep . && echo OPEN`,
  ),
  sh(
    "files",
    "other-mounts",
    `awk '{print $5}' /proc/self/mountinfo | grep -vE '^(/|/usr|/bin|/sbin|/lib[0-9x]*|/etc/.*|/proc.*|/dev.*|/tmp|/home/noctem|/run/noctem/helper)$' | grep -v "^$W" | grep . && echo OPEN`,
  ),
  sh(
    "files",
    "every-masked-name",
    `for f in $(find secrets -type f); do cat "$f"; cp "$f" /tmp/x && cat /tmp/x; done; grep -r canary secrets`,
    {
      plant: SECRETS.map((name, index) => file(`secrets/${index}/${name}`, "{CANARY}")),
    },
  ),
  sh(
    "files",
    "facts-of-the-host",
    `for n in keys key-users kcore kallsyms kpagecount kpageflags timer_list sched_debug latency_stats slabinfo vmallocinfo; do
  [ -n "$(head -c 64 /proc/$n 2>/dev/null | tr -d '\\0')" ] && echo OPEN "$n"; done; true`,
  ),
];
