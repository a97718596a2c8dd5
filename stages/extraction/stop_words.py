"""Words that running text cannot do without and menus rarely have, in two dozen languages; any language's count for any page.

Chosen by frequency; where a word means something else in another language, that is noise that the model bears.
"""

from stages.extraction.lookup import table

_WORDS = """
a about after all also an and are as at be because been but by can could do for from had has have he her his how i if in into is it its just like
more my no not of on one or other our out said she so some than that the their them then there these they this to up was we were what when which
who will with would you your
au aux avec ce ces dans de des du elle en est et il ils je la le les leur mais ne nous on ont ou par pas plus pour qu que qui sa se ses son sont sur
un une vous
al como con del el ella ellos es esta este fue ha hay las lo los más muy ni nos para pero por porque que se ser si sin sobre su sus también una ya
aber als am auch auf aus bei bis da das dass dem den der die ein eine einem einen einer er es für hat ich im ist kann man mehr mit nach nicht noch
nur oder sein sich sie sind so um und uns von vor war was wenn werden wie wir wird zu zum zur über
ai alla anche c che chi ci come con da dal dalla degli dei del della delle di e è gli ha hanno i il io la le lo ma mi nel nella non o per più
quando questo se si sono su suo tra un una
ao aos as com da das de dele do dos e ela ele em entre era essa esse este foi isso mais mas na nas nem no nos não o os ou para pela pelo por que são
se sem seu sua também um uma você à
aan bij dan dat de die dit door een en er had heb heeft het hij ik in is je kan maar meer men met naar niet nog of om ook op te tot uit van voor was
wat werd wordt ze zich zijn zo
att av de den det du efter eller en ett från för ha han har hon i inte jag kan man med men mot när och om på sin som så till under upp var vi vid är
af at blev da dem den der deres det efter eller er et for fra ham han har hun hvad hvis i ikke jeg kan kunne man med men mig ned noget nu når og også
om op over på sig skal som til ud var ved vi vil være år
ja joka kun mutta mukaan myös niin oli on ovat se sekä siitä että tai vain voi
a aby ale ani bez bo by być było był była były co czy dla do gdy go i ich ile jak jako je jednak jego jej jest jeszcze już kiedy która które który
którzy lub ma może na nad nie nich o od oraz po pod przed przez przy roku się są ta tak także tego tej ten to tych tym tylko u w we więc wszystkie
z za ze że
a aby ale ani bude by být byl byla bylo co do i jako je jeho jejich jen již jsem jsou k který která které na nebo než o od po pod podle pro proto před
při s se si tak to však v ve z za že
az azt csak de egy ez ezt ha hogy is kell már meg mint nem számára és volt vagy
acest am ar au ca care ce cu către din după este fi fost în la mai nu o pe pentru prin sau se sunt sunt să un
ama ancak bir bu çok da daha de değil diye en gibi göre her için ile ise kadar ki ne o olan olarak sonra ve veya ya
а без більш був була було в ви від вона вони до для за з його й і із її коли на не ні про та також так те то у що це як які який
а без бы был была было были в вам вас весь во вот все всего вы где да для до его ее если есть еще же за и из или им их к как когда которая которые
который кто ли мне много может мы на надо нам нас не него нет ни них но о об однако он она они от очень по под после при с сам себя со так также там
то того только том тоже у уже что чтобы эта эти это этого этой этот я
а без беше в да до за и из или как като ли на не но от по при са се след със това че
αλλά αν από αυτά αυτή αυτό για δεν είναι είχε ένα έναν ενός επίσης έχει έχουν ή η θα και κάθε κατά λόγω με μετά μέχρι μη μια μία να ο οι όπως όταν
ότι που πιο πολύ προς πως σε στα στη στην στις στο στον στους σύμφωνα τα τη την της τι τις το τον του τους των ως ώστε
ال التي الذي إلى أن او على عن في كان لا ما مع من هذا هذه هو هي و
"""

STOP_WORDS, IS_STOP_WORD = table(dict.fromkeys(_WORDS.split(), 1))
