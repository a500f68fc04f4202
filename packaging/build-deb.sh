#!/usr/bin/env bash
# Builds the Debian package; needs cargo and dpkg-deb alone. Prints where it is.
# The same sources, compiler and SOURCE_DATE_EPOCH give the same package.
#   packaging/build-deb.sh [VERSION]
set -euo pipefail
cd "$(dirname "$0")/.."

made=target/package
root=$made/root

version=${1:-$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)-1}
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}

# Without symbols, as Debian wants programs to be.
CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --quiet --release --locked --bin ferryd
cargo run --quiet --locked --example package_files -- "$made"

rm -rf "$root"
install -d -m 755 "$root/DEBIAN"

# What is compressed has no time and no name inside, so that it can be made again as it was.
compressed() { gzip -9n >"$2" <"$1" && chmod 644 "$2"; }

while read -r mode source destination; do
  for file in $source; do
    target=$root/$destination
    [[ $destination == */ ]] && target+=${file##*/}
    install -D -m "$mode" "$file" "$target"
  done
done <"$made/assets"
for page in "$root"/usr/share/man/man?/*; do
  compressed "$page" "$page.gz"
  rm "$page"
done

# Documents that Debian wants: changes of the package, changes of the program, licence.
doc=$root/usr/share/doc/ferryd
cat >"$made/changelog.Debian" <<END
ferryd ($version) unstable; urgency=medium

  * Built from the sources of ferryd. What has changed for its users stands
    in /usr/share/doc/ferryd/changelog.gz.

 -- $(sed -n 's/^Maintainer: //p' "$made/control")  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END
compressed "$made/changelog.Debian" "$doc/changelog.Debian.gz"
compressed CHANGELOG.md "$doc/changelog.gz"
install -m 644 LICENSE "$doc/copyright"

# The newest interface of the C library that the program uses is the oldest version that it runs with.
libc=$(grep -ao 'GLIBC_2\.[0-9]*' target/release/ferryd | sort -Vu | tail -n 1)
{
  sed "s/\$auto/libc6 (>= ${libc#GLIBC_}), libgcc-s1 (>= 4.2)/" "$made/control" | sed '/^Description:/,$d'
  echo "Version: $version"
  echo "Architecture: $(dpkg --print-architecture)"
  echo "Installed-Size: $(du -k -s --apparent-size "$root" | cut -f 1)"
  sed -n '/^Description:/,$p' "$made/control"
} >"$root/DEBIAN/control"
echo /etc/ferryd/ferryd.toml >"$root/DEBIAN/conffiles"
install -m 755 packaging/debian/{postinst,prerm,postrm} "$root/DEBIAN"
(cd "$root" && find usr etc -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
chmod 644 "$root"/DEBIAN/{control,conffiles,md5sums}
# Directories as they should be under any umask.
find "$root" -type d -exec chmod 755 {} +

package=$made/ferryd_${version}_$(dpkg --print-architecture).deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
rm -rf "$root"
echo "$package"
