import { NetkilnError } from "../lib/errors.ts";
import type { RootProvider } from "./types.ts";

/**
 * The whole image is fetched over HTTP into memory and mounted under a writable overlay in memory: dracut's livenet and
 * dmsquash-live (dracut.cmdline(7), "Booting live images"). The checksum is for our own dracut module, which refuses
 * to mount anything else.
 */
export const live: RootProvider = {
  rootArguments: ({ image, rootUrl, passthrough, given }) => {
    if (passthrough !== "") {
      throw new NetkilnError(
        "invalid_input",
        `the root provider live takes no passthrough, but was given "${passthrough}"`,
      );
    }
    const { rootfs } = image.artifacts;
    if (rootfs === undefined) {
      throw new NetkilnError(
        "invalid_input",
        `image ${image.id} has no squashfs root, which the root provider live needs`,
        {
          hint: 'add squashfs to "outputs" of its recipe',
        },
      );
    }
    const addressed = /(?:^|\s)ip=/.test(given);
    return [
      `root=live:${rootUrl}`,
      "rd.live.overlay.overlayfs=1",
      "rd.neednet=1",
      ...(addressed ? [] : ["ip=dhcp"]),
      `netkiln.rootfs_sha256=${rootfs.sha256}`,
    ].join(" ");
  },
};
